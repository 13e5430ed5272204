/** Carries a bench out: cell by cell, the tools in turn within each, so that whatever else the machine does hits all alike. */
import { UserError } from '../engine/errors.ts';
import { groupInside } from '../lab/cgroups.ts';
import type { LabHost } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import type { Say } from '../lab/local.ts';
import { type Access, direct, through } from './access.ts';
import { bootHosts, setLoginRc } from './hosts.ts';
import type { Command } from './job.ts';
import { counted, cpuOf, type Run, timed } from './measure.ts';
import type { Tool } from './peers.ts';
import { folder, repository } from './places.ts';
import { FACTS_SCRIPT, shellScript } from './render/shell.ts';
import { type Cell, load, machine, median, type Results, type ToolResult } from './results.ts';
import type { CellPlan } from './scenario.ts';
import { stateCheck, type Workload } from './workloads.ts';

/** How to measure. */
export interface BenchOptions {
  readonly quick: boolean;
  /** Timed runs of each tool in each cell. */
  readonly runs: number;
  readonly say: Say;
  /** Told the results so far, after each cell. */
  readonly save: (results: Results) => void;
}

/** In a quick bench a tool that took longer than this is not run again, and not counted. */
const SLOW_MS = 10_000;

/** Measures all cells. */
export async function runBench(
  tools: readonly Tool[],
  plans: readonly CellPlan[],
  options: BenchOptions,
): Promise<Results> {
  const started = new Date().toISOString();
  const loadBefore = load();
  options.say(`load average ${loadBefore.toFixed(1)}`);
  const startUp = await measureStartUp();
  const cells: Cell[] = [];
  const hosts = Math.max(...plans.map(({ workload }) => workload.hosts));
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
    for (const plan of plans) {
      cells.push(await measureCell(plan, tools, lab, options));
      options.save(results());
    }
  } finally {
    await lab?.down();
  }
  return results();
}

/** What Node takes for nothing, alone and with tsx. */
async function measureStartUp(): Promise<Results['startUp']> {
  const nodeMs: number[] = [];
  const tsxMs: number[] = [];
  for (let i = 0; i < 5; i++) {
    nodeMs.push((await timed({ argv: [process.execPath, '-e', ''], cwd: repository })).wallMs);
    tsxMs.push((await timed({ argv: [process.execPath, '--import', 'tsx', '-e', ''], cwd: repository })).wallMs);
  }
  return { nodeMs, tsxMs };
}

async function measureCell(
  { workload, rttMs, rc }: CellPlan,
  tools: readonly Tool[],
  lab: Lab | undefined,
  { quick, runs, say }: BenchOptions,
): Promise<Cell> {
  say(`\n${workload.title}, ${rttMs} ms, ${rc} login rc`);
  if (lab) await setLoginRc(lab, rc);
  const near = accessTo(workload, lab);
  const distance = lab && (rttMs > 0 || workload.times) ? await through(lab, workload, rttMs) : undefined;
  const commands = new Map<Tool, Command>();
  for (const tool of tools) {
    const command = tool.render(workload.job, distance?.access ?? near, folder('run', tool.id));
    if (command) commands.set(tool, command);
  }
  const found = new Map([...commands.keys()].map((tool) => [tool, noTimes()]));
  try {
    for (let round = 0; round < runs; round++) {
      for (const [tool, command] of commands) {
        const times = found.get(tool);
        if (!times || (quick && (times.wallMs[0] ?? 0) > SLOW_MS)) continue;
        await prepare(workload, tool, command, lab?.hosts[0]);
        const before = hostsCpu(lab, workload);
        const run = await timed(command);
        const hostCpuMs = hostsCpu(lab, workload) - before;
        await judge(workload, tool, run, lab?.hosts[0]);
        times.wallMs.push(run.wallMs);
        times.cpuMs.push(run.cpuMs);
        if (workload.hosts > 0) times.hostCpuMs.push(hostCpuMs);
        const processor = `${(run.cpuMs / 1000).toFixed(2)} s here, ${(hostCpuMs / 1000).toFixed(2)} s on the host`;
        say(`  ${tool.title.padEnd(26)} ${(run.wallMs / 1000).toFixed(2)} s; processor: ${processor}`);
      }
    }
  } finally {
    distance?.close();
  }
  const results: ToolResult[] = [];
  for (const [tool] of commands) {
    const isSlow = quick && (found.get(tool)?.wallMs[0] ?? 0) > SLOW_MS;
    // Distance changes nothing that is counted.
    const counts = rttMs === 0 && rc === 'light' && !isSlow ? await count(workload, tool, lab) : undefined;
    results.push({ tool: tool.id, ...(found.get(tool) ?? noTimes()), ...(counts ? { counts } : {}) });
  }
  const scriptMs = lab ? await scriptAlone(workload, lab, runs) : undefined;
  return { workload: workload.id, rttMs, rc, tools: results, ...(scriptMs === undefined ? {} : { scriptMs }) };
}

function noTimes(): { wallMs: number[]; cpuMs: number[]; hostCpuMs: number[] } {
  return { wallMs: [], cpuMs: [], hostCpuMs: [] };
}

/** Processor time of a workload's hosts so far, in milliseconds. */
function hostsCpu(lab: Lab | undefined, { hosts }: Workload): number {
  if (!lab) return 0;
  const times = lab.hosts.slice(0, hosts).map(({ name }) => cpuOf(groupInside(lab.state.number, name)));
  return times.reduce((sum, time) => sum + time, 0);
}

function accessTo(workload: Workload, lab: Lab | undefined): Access {
  return lab ? direct(lab, workload) : { targets: [], user: 'root', key: '', knownHosts: '' };
}

/** What each tool has done once already in this process, so that its caches are as warm as anybody's second run. */
const warm = new Set<string>();

/** Makes the host as the workload wants it before a run of this tool: the work done, then spoiled. */
async function prepare(workload: Workload, tool: Tool, command: Command, host: LabHost | undefined): Promise<void> {
  const checked = host && workload.checked ? stateCheck(workload.checked) : undefined;
  const known = `${tool.id} ${workload.job.kind}`;
  if (!warm.has(known) || (checked && (await host?.read(checked.script)) !== checked.expected)) {
    await judge(workload, tool, await timed(command), host);
    warm.add(known);
  }
  if (workload.before) await host?.read(workload.before);
}

/** Throws where a run failed or left the host otherwise than the work says. */
async function judge(workload: Workload, tool: Tool, run: Run, host: LabHost | undefined): Promise<void> {
  const about = `${tool.title}, ${workload.title}`;
  if (run.exitCode !== 0) throw new UserError({ what: `${about}: exit code ${run.exitCode}\n${run.said}` });
  if (!host || !workload.checked) return;
  const { script, expected } = stateCheck(workload.checked);
  const lines = (await host.read(script)).split('\n');
  const wrong = expected.split('\n').flatMap((line, i) => (line === lines[i] ? [] : [`  ${lines[i]}, not ${line}`]));
  if (wrong.length > 0) throw new UserError({ what: `${about}: left another state\n${wrong.join('\n')}\n${run.said}` });
}

/** Memory, processes, connections, round trips and bytes of one run, through a relay without delay. */
async function count(workload: Workload, tool: Tool, lab: Lab | undefined): Promise<ToolResult['counts']> {
  const distance = lab && !workload.offline ? await through(lab, workload, 0) : undefined;
  try {
    const access = distance?.access ?? accessTo(workload, lab);
    const command = tool.render(workload.job, access, folder('run', tool.id));
    if (!command) return undefined;
    await prepare(workload, tool, command, lab?.hosts[0]);
    const before = await distance?.traffic();
    const { run, counts } = await counted(command);
    await judge(workload, tool, run, lab?.hosts[0]);
    const after = await distance?.traffic();
    if (!before || !after) return counts;
    return {
      ...counts,
      connections: after.connections - before.connections,
      roundTrips: after.roundTrips - before.roundTrips,
      bytesOut: after.bytesOut - before.bytesOut,
      bytesIn: after.bytesIn - before.bytesIn,
    };
  } finally {
    distance?.close();
  }
}

/** The middle time of the hand-made script on the host itself, without ssh. */
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
