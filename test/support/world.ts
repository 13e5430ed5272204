/** Hosts that are folders of this machine: real shells, the real session, no network. For tests of whole runs. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EventStream } from '../../engine/event-stream.ts';
import type { Phase, RunEvent } from '../../engine/events.ts';
import { connectionOf } from '../../engine/inventory/connection.ts';
import { loadInventory } from '../../engine/inventory/load.ts';
import type { Play } from '../../engine/play.ts';
import type { Connection, Session } from '../../engine/remote/session.ts';
import { defineRole, type TaskContext } from '../../engine/role.ts';
import type { RunOptions } from '../../engine/run/plan/run-options.ts';
import { type RunResult, run } from '../../engine/run/run.ts';
import { sh } from '../../engine/script.ts';
import type { Task } from '../../engine/task.ts';
import { resolverFor } from '../../engine/vars/resolve.ts';
import { openSession } from './open-session.ts';

/** A run's result and what happened in it. */
export interface Observed extends RunResult {
  readonly events: readonly RunEvent[];
}

/** The hosts of a test: folders, of which each is one host's world. */
export class World {
  readonly root: string;
  readonly names: readonly string[];

  constructor(root: string, names: readonly string[]) {
    this.root = root;
    this.names = names;
    for (const name of names) mkdirSync(this.path(name), { recursive: true });
  }

  path(host: string, file = ''): string {
    return join(this.root, 'hosts', host, file);
  }

  read(host: string, file: string): string | undefined {
    const path = this.path(host, file);
    return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  }

  /** The files of a host's own state: marks of pending handlers. */
  state(host: string, file = ''): string {
    return join(this.root, 'state', host, file);
  }

  /**
   * A session of a host. Its state is in a folder of its own: these hosts share one machine, whose state is one. Locks are
   * a machine's, too.
   */
  async open(connection: Connection): Promise<Session> {
    const session = await openSession(connection);
    const directory = this.state(connection.name);
    const script = sh`:`;
    // A condition runs in the session's own shell, where what it sets stays.
    await session.run([{ id: 'state', script, timeout: 10, stopIf: sh`hw_state_dir=${directory}; false` }]);
    return Object.assign(session, { lock: () => {}, machine: connection.name });
  }

  async run(plays: readonly Play[], more: Partial<RunOptions> = {}): Promise<Observed> {
    const inventoryFile = join(this.root, 'inventory');
    writeFileSync(inventoryFile, this.names.map((name) => `${name} ansible_connection=local\n`).join(''));
    const inventory = await loadInventory({ sources: [inventoryFile] });
    const stream = new EventStream();
    const events: RunEvent[] = [];
    stream.subscribe((event) => events.push(event));
    const result = await run({
      playbook: { title: 'A test', plays },
      inventory,
      limit: undefined,
      tags: { tags: [], skipTags: [] },
      check: false,
      diff: false,
      forks: 10,
      prefetch: true,
      showScripts: false,
      resolveVars: resolverFor(plays, inventory),
      connect: (host) => connectionOf(host, { become: false }),
      open: (connection) => this.open(connection),
      events: stream,
      lock: { runId: 'test', holder: 'tester', controller: '-' },
      argv: [],
      version: '0',
      startUp: { start: 0, inventory: 0, compiled: false },
      interruption: { requested: undefined, onRequest: () => {} },
      ...more,
    });
    return { ...result, events };
  }
}

/** Every task that has an end, with it, in order; of one host, or of all. */
export const statuses = (events: readonly RunEvent[], host?: string) =>
  events
    .filter((event) => event.type === 'task-finished')
    .filter((event) => host === undefined || event.host === host)
    .map(({ task: { name }, status }) => `${name}: ${status}`);

const AROUND: readonly Phase[] = ['connect', 'authenticate', 'become', 'close'];

/** What a host was sent: each phase with its round trips. */
export const trips = (events: readonly RunEvent[], host: string) =>
  events
    .filter((event) => event.type === 'phase-finished')
    .filter((event) => event.host === host && !AROUND.includes(event.phase))
    .map(({ phase, cost }) => `${phase} ${cost.roundTrips}`);

type Context = TaskContext<unknown>;
/** A stage's tasks. */
export type Tasks = (context: Context) => readonly Task[];

/** A role of one stage, without facts and variables. */
export const roleOf = (tasks: Tasks, handlers?: (context: Context) => Readonly<Record<string, Task>>, name = 'role') =>
  defineRole({
    name,
    description: 'A role.',
    vars: { properties: {} },
    stages: (stage) => [stage({ name: 'main', tasks, ...(handlers ? { handlers } : {}) })],
  });
