/**
 * The controller's own cost with many hosts. These are whole runs, over a transport that answers at once and runs
 * nothing. Usage: `npm run scale`, or `npm run scale -- HOSTS [TASKS]` for one size. See docs/scale.md.
 */
import { writeFileSync } from 'node:fs';
import { EventStream } from '../engine/event-stream.ts';
import { play } from '../engine/index.ts';
import { connectionOf } from '../engine/inventory/connection.ts';
import { loadInventory } from '../engine/inventory/load.ts';
import type { OpenSession, Session, Step, StepResult } from '../engine/remote/session.ts';
import { file } from '../engine/resources/file.ts';
import { defineRole } from '../engine/role.ts';
import { run } from '../engine/run/run.ts';
import { formatState } from '../engine/state.ts';
import { task } from '../engine/task.ts';
import { FREE, NO_TRAFFIC } from '../engine/traffic.ts';
import { resolverFor } from '../engine/vars/resolve.ts';
import { benchPath } from './paths.ts';
import { median } from './results.ts';

/** Hosts and tasks that are measured by default. */
const SIZES = [
  [250, 20],
  [1000, 20],
  [4000, 20],
  [1000, 80],
] as const;

/** Runs of each size. Their median counts. */
const RUNS = 3;

/** A role of so many files, and the answers of a host that has all of them. */
function work(tasks: number) {
  const answers = new Map<string, Buffer>();
  const files = Array.from({ length: tasks }, (_, i) => {
    const resource = file({ path: `/etc/scale-${i}`, content: `file ${i}\n` });
    answers.set(resource.probe.reveal(), Buffer.from(formatState(resource.wanted)));
    return resource;
  });
  const role = defineRole({
    name: 'scale',
    description: 'Files that are there already.',
    vars: { properties: {} },
    // Computed for each host, as real roles do from the host's facts.
    stages: (stage) => [
      stage({
        name: 'files',
        tasks: () => files.map(({ id }, i) => task(id, file({ path: id, content: `file ${i}\n` }))),
      }),
    ],
  });
  return { role, answers };
}

/** Sessions that answer every probe at once, without a host. */
function answering(answers: ReadonlyMap<string, Buffer>): OpenSession {
  const none = Buffer.alloc(0);
  const answer = ({ id, script }: Step): StepResult => ({
    id,
    outcome: 'ran',
    exitCode: 0,
    stdout: answers.get(script.reveal()) ?? none,
    stderr: none,
    truncated: false,
    duration: 0,
    arrived: 0,
  });
  return async ({ name }): Promise<Session> => {
    const traffic = { ...NO_TRAFFIC };
    return {
      name,
      traffic,
      channelRoundTrips: 0,
      wire: NO_TRAFFIC,
      opening: { connect: FREE, authenticate: FREE, become: FREE },
      lock: () => {},
      run: async (steps) => {
        traffic.roundTrips++;
        return steps.map(answer);
      },
      upload: () => Promise.reject(new Error('nothing is uploaded here')),
      read: () => {
        throw new Error('nothing is read here');
      },
      interrupt: async () => {},
      close: async () => {},
    };
  };
}

/** One run. */
async function measured(hosts: number, tasks: number) {
  const source = benchPath('files', `scale-${hosts}`);
  writeFileSync(source, Array.from({ length: hosts }, (_, i) => `node-${i}\n`).join(''));
  const { role, answers } = work(tasks);
  const plays = [play({ name: 'All', hosts: 'all', roles: [role()], become: false })];
  const events = new EventStream();
  let count = 0;
  events.subscribe(() => count++);
  const [cpu, start] = [process.cpuUsage(), performance.now()];
  const inventory = await loadInventory({ sources: [source] });
  const { exitCode, recap } = await run({
    playbook: { title: 'Scale', plays },
    inventory,
    limit: undefined,
    tags: { tags: [], skipTags: [] },
    check: false,
    diff: false,
    forks: 200,
    prefetch: true,
    showScripts: false,
    resolveVars: resolverFor(plays, inventory),
    connect: (host) => connectionOf(host, { become: false }),
    open: answering(answers),
    events,
    lock: { runId: 'scale', holder: 'bench', controller: '-' },
    argv: [],
    version: '0',
    startUp: { start: 0, inventory: 0, compiled: false },
    interruption: { requested: undefined, onRequest: () => {} },
  });
  const ms = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  if (exitCode !== 0 || recap.some(({ ok, changed }) => ok !== tasks || changed > 0)) {
    throw new Error(`${hosts} hosts, ${tasks} tasks: the run has changes, but nothing was to be changed`);
  }
  return { ms, cpuMs: (user + system) / 1000, count };
}

const [ofHosts, ofTasks = 20] = process.argv.slice(2).map(Number);
const sizes = ofHosts ? [[ofHosts, ofTasks] as const] : SIZES;
// Warms up.
await measured(100, 10);
console.log('| hosts | tasks | wall | processor | per host and task | events | memory, at the most so far |');
console.log('|---:|---:|---:|---:|---:|---:|---:|');
for (const [hosts, tasks] of sizes) {
  const runs = [];
  for (let i = 0; i < RUNS; i++) runs.push(await measured(hosts, tasks));
  const cpuMs = median(runs.map((run) => run.cpuMs));
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
  const each = `${(cpuMs / hosts / tasks).toFixed(3)} ms`;
  const memory = `${Math.round(process.resourceUsage().maxRSS / 1024)} MB`;
  console.log(
    `| ${hosts} | ${tasks} | ${seconds(median(runs.map(({ ms }) => ms)))} | ${seconds(cpuMs)} | ${each} | ${runs[0]?.count} | ${memory} |`,
  );
}
