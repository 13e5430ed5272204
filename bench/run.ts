/**
 * Runs the bench, cell by cell. Within a cell the tools take turns: what else the machine does then slows all of them
 * alike.
 */
import { UserError } from '../engine/errors.ts';
import { groupInside } from '../lab/cgroups.ts';
import type { LabHost } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import type { Say } from '../lab/local.ts';
import { type Access, delayedAccess, directAccess } from './access.ts';
import { bootHosts, setLoginRc } from './hosts.ts';
import type { Command } from './job.ts';
import type { CellSpec } from './matrix.ts';
import { counted, cpuOf, type Run, timed } from './measure.ts';
import { benchFolder, REPOSITORY } from './paths.ts';
import { FACTS_SCRIPT, shellScript } from './render/shell.ts';
import { type Cell, load, machine, median, type Results, type ToolResult } from './results.ts';
import { writeLargeFiles } from './tasks.ts';
import type { Tool } from './tools.ts';
import { stateCheck, type Workload } from './workloads.ts';

/** How to measure. */
export interface BenchOptions {
  readonly quick: boolean;
  /** Timed runs of each tool in each cell. */
  readonly runs: number;
  readonly say: Say;
  /** Gets the results so far, after each cell. */
  readonly save: (results: Results) => void;
}

/** A quick bench neither repeats nor counts a tool that took longer than this. */
const SLOW_MS = 10_000;

/** Measures all cells. */
export async function runBench(
  tools: readonly Tool[],
  specs: readonly CellSpec[],
  options: BenchOptions,
): Promise<Results> {
  const started = new Date().toISOString();
  const loadBefore = load();
  options.say(`load average ${loadBefore.toFixed(1)}`);
  const startUp = await measureStartUp();
  if (specs.some(({ workload }) => workload.job.kind === 'files')) writeLargeFiles();
  const cells: Cell[] = [];
  const hosts = Math.max(...specs.map(({ workload }) => workload.hosts));
  const lab = hosts > 0 ? await bootHosts(hosts, options.say) : undefined;
  const results = (): Results => ({
    started,
    finished: new Date().toISOString(),
    quick: options.quick,
    machine: machine(loadBefore),
    versions: Object.fromEntries(tools.map(({ id, version }) => [id, version])),
    startUp,
    cells,
  });
  try {
    for (const spec of specs) {
      cells.push(await measureCell(spec, tools, lab, options));
      options.save(results());
    }
  } finally {
    await lab?.down();
  }
  return results();
}

/** How long Node takes to start, without and with tsx. */
async function measureStartUp(): Promise<Results['startUp']> {
  const nodeMs: number[] = [];
  const tsxMs: number[] = [];
  for (let i = 0; i < 5; i++) {
    nodeMs.push((await timed({ argv: [process.execPath, '-e', ''], cwd: REPOSITORY })).wallMs);
    tsxMs.push((await timed({ argv: [process.execPath, '--import', 'tsx', '-e', ''], cwd: REPOSITORY })).wallMs);
  }
  return { nodeMs, tsxMs };
}

async function measureCell(
  { workload, rttMs, rc }: CellSpec,
  tools: readonly Tool[],
  lab: Lab | undefined,
  { quick, runs, say }: BenchOptions,
): Promise<Cell> {
  say(`\n${workload.title}, ${rttMs} ms, ${rc} login rc`);
  if (lab) await setLoginRc(lab, rc);
  const direct = accessTo(workload, lab);
  const relay = lab && (rttMs > 0 || workload.namesPerHost) ? await delayedAccess(lab, workload, rttMs) : undefined;
  const commands = new Map<Tool, Command>();
  for (const tool of tools) {
    const command = tool.render(workload.job, relay?.access ?? direct, benchFolder('run', tool.id));
    if (command) commands.set(tool, command);
  }
  const found = new Map([...commands.keys()].map((tool) => [tool, emptyTimes()]));
  try {
    for (let round = 0; round < runs; round++) {
      for (const [tool, command] of commands) {
        const times = found.get(tool);
        if (!times || (quick && (times.wallMs[0] ?? 0) > SLOW_MS)) continue;
        await prepare(workload, tool, command, lab?.hosts[0]);
        const before = hostsCpu(lab, workload);
        const run = await timed(command);
        const hostCpuMs = hostsCpu(lab, workload) - before;
        await verifyRun(workload, tool, run, lab?.hosts[0]);
        times.wallMs.push(run.wallMs);
        times.cpuMs.push(run.cpuMs);
        if (workload.hosts > 0) times.hostCpuMs.push(hostCpuMs);
        const processor = `${(run.cpuMs / 1000).toFixed(2)} s here, ${(hostCpuMs / 1000).toFixed(2)} s on the host`;
        say(`  ${tool.title.padEnd(26)} ${(run.wallMs / 1000).toFixed(2)} s; processor: ${processor}`);
      }
    }
  } finally {
    relay?.close();
  }
  const results: ToolResult[] = [];
  for (const [tool] of commands) {
    const isSlow = quick && (found.get(tool)?.wallMs[0] ?? 0) > SLOW_MS;
    // Latency changes no count.
    const counts = rttMs === 0 && rc === 'light' && !isSlow ? await count(workload, tool, lab) : undefined;
    results.push({ tool: tool.id, ...(found.get(tool) ?? emptyTimes()), ...(counts ? { counts } : {}) });
  }
  const scriptMs = lab ? await scriptAlone(workload, lab, runs) : undefined;
  return { workload: workload.id, rttMs, rc, tools: results, ...(scriptMs === undefined ? {} : { scriptMs }) };
}

function emptyTimes(): { wallMs: number[]; cpuMs: number[]; hostCpuMs: number[] } {
  return { wallMs: [], cpuMs: [], hostCpuMs: [] };
}

/** Processor time of a workload's hosts so far, in milliseconds. */
function hostsCpu(lab: Lab | undefined, { hosts }: Workload): number {
  if (!lab) return 0;
  const times = lab.hosts.slice(0, hosts).map(({ name }) => cpuOf(groupInside(lab.state.number, name)));
  return times.reduce((sum, time) => sum + time, 0);
}

function accessTo(workload: Workload, lab: Lab | undefined): Access {
  return lab ? directAccess(lab, workload) : { targets: [], user: 'root', key: '', knownHosts: '' };
}

/**
 * Tools and kinds of work that ran once already in this process: their caches are as warm as in anybody's second run.
 */
const warm = new Set<string>();

/** Prepares the host for a run: the work is done already, then what this workload measures is undone. */
async function prepare(workload: Workload, tool: Tool, command: Command, host: LabHost | undefined): Promise<void> {
  const checked = host && workload.checked ? stateCheck(workload.checked) : undefined;
  const key = `${tool.id} ${workload.job.kind}`;
  if (!warm.has(key) || (checked && (await host?.read(checked.script)) !== checked.expected)) {
    await verifyRun(workload, tool, await timed(command), host);
    warm.add(key);
  }
  if (workload.before) await host?.read(workload.before);
}

/** @throws UserError when a run failed, or left the host in another state than the tasks describe. */
async function verifyRun(workload: Workload, tool: Tool, run: Run, host: LabHost | undefined): Promise<void> {
  const about = `${tool.title}, ${workload.title}`;
  if (run.exitCode !== 0) throw new UserError({ what: `${about}: exit code ${run.exitCode}\n${run.output}` });
  if (!host || !workload.checked) return;
  const { script, expected } = stateCheck(workload.checked);
  const lines = (await host.read(script)).split('\n');
  const differing = expected
    .split('\n')
    .flatMap((line, i) => (line === lines[i] ? [] : [`  ${lines[i]}, not ${line}`]));
  if (differing.length > 0)
    throw new UserError({ what: `${about}: left another state\n${differing.join('\n')}\n${run.output}` });
}

/** Counts memory, processes, connections, round trips and bytes of one run, through a relay without latency. */
async function count(workload: Workload, tool: Tool, lab: Lab | undefined): Promise<ToolResult['counts']> {
  const relay = lab && !workload.offline ? await delayedAccess(lab, workload, 0) : undefined;
  try {
    const access = relay?.access ?? accessTo(workload, lab);
    const command = tool.render(workload.job, access, benchFolder('run', tool.id));
    if (!command) return undefined;
    await prepare(workload, tool, command, lab?.hosts[0]);
    const before = await relay?.traffic();
    const { run, counts } = await counted(command);
    await verifyRun(workload, tool, run, lab?.hosts[0]);
    const after = await relay?.traffic();
    if (!before || !after) return counts;
    return {
      ...counts,
      connections: after.connections - before.connections,
      roundTrips: after.roundTrips - before.roundTrips,
      bytesOut: after.bytesOut - before.bytesOut,
      bytesIn: after.bytesIn - before.bytesIn,
    };
  } finally {
    relay?.close();
  }
}

/** The median time of the hand-made script, run on the host itself without ssh. */
async function scriptAlone(workload: Workload, lab: Lab, runs: number): Promise<number | undefined> {
  const [host] = lab.hosts;
  const { job } = workload;
  if (!host || (job.kind !== 'mixed' && job.kind !== 'facts')) return undefined;
  const input = job.kind === 'facts' ? FACTS_SCRIPT : shellScript(job.tasks);
  const walls: number[] = [];
  for (let i = 0; i < runs; i++) {
    if (workload.before) await host.read(workload.before);
    const start = performance.now();
    const { code, stderr } = await host.exec('sh', { input });
    walls.push(performance.now() - start);
    if (code !== 0) throw new UserError({ what: `the script on the host: ${stderr}` });
  }
  return median(walls);
}
