/** What the parts of a run share while it goes: its options, sessions, disruptions, and which hosts are still in it. */
import type { Problem } from '../errors.ts';
import type { EventStream, HostRecap, Phase, TaskStatus } from '../events.ts';
import type { Inventory, InventoryHost } from '../inventory/inventory.ts';
import type { Play } from '../play.ts';
import type { BatchListener, Session, Step, StepResult } from '../remote/session.ts';
import type { AskContext, RoleCall } from '../role.ts';
import { Script } from '../script.ts';
import type { Disruptions } from './disruption.ts';
import type { RunOptions } from './options.ts';
import type { SessionPool } from './pool.ts';

/** One play of a run, with the hosts it is for. */
export interface PlayRun {
  readonly play: Play;
  /** In inventory order, after `--limit`. */
  readonly hosts: readonly InventoryHost[];
}

/** State of a run. */
export class RunContext {
  readonly options: RunOptions;
  readonly pool: SessionPool;
  readonly disruptions: Disruptions;
  /** The hosts of every play, in the inventory's order. */
  readonly hosts: readonly InventoryHost[];
  /** Variables of each host and role call, validated before anything was connected. */
  readonly vars: ReadonlyMap<RoleCall, ReadonlyMap<string, Readonly<Record<string, unknown>>>>;
  readonly #out = new Set<string>();
  readonly #counts = new Map<
    string,
    { ok: number; changed: number; failed: number; skipped: number; ignored: number }
  >();

  constructor(
    options: RunOptions,
    pool: SessionPool,
    disruptions: Disruptions,
    hosts: readonly InventoryHost[],
    vars: RunContext['vars'],
  ) {
    this.options = options;
    this.pool = pool;
    this.disruptions = disruptions;
    this.hosts = hosts;
    this.vars = vars;
  }

  get events(): EventStream {
    return this.options.events;
  }

  /** True once the user asked to stop: nothing new is begun. */
  get stopping(): boolean {
    return this.options.interruption.requested !== undefined;
  }

  /** Is the host still in the run: reached, and nothing failed on it? */
  isIn(host: InventoryHost): boolean {
    return !this.#out.has(host.name) && this.pool.whyUnreachable(host.name) === undefined;
  }

  /** Takes a host out of the run, saying why unless a task's event has said it. */
  fail(host: InventoryHost, problem?: Problem): void {
    if (this.#out.has(host.name)) return;
    this.#out.add(host.name);
    if (!problem) return;
    this.#countsOf(host.name).failed++;
    this.events.emit({ type: 'host-failed', host: host.name, problem });
  }

  /** Counts a task for the recap. */
  count(host: InventoryHost, status: TaskStatus): void {
    const counts = this.#countsOf(host.name);
    // As in Ansible, `ok` includes the changed, and check mode counts what it would change.
    if (status === 'ok' || status === 'changed' || status === 'would change' || status === 'ignored') counts.ok++;
    if (status === 'changed' || status === 'would change') counts.changed++;
    if (status === 'failed' || status === 'skipped' || status === 'ignored') counts[status]++;
  }

  #countsOf(host: string) {
    const counts = this.#counts.get(host) ?? { ok: 0, changed: 0, failed: 0, skipped: 0, ignored: 0 };
    this.#counts.set(host, counts);
    return counts;
  }

  /** Ansible's recap lines, of every host in `hosts`. */
  recap(hosts: readonly InventoryHost[]): readonly HostRecap[] {
    return hosts.map(({ name }) => ({
      host: name,
      ...this.#countsOf(name),
      unreachable: this.pool.whyUnreachable(name) ? 1 : 0,
    }));
  }

  /** What a role's pure functions are given for a host. */
  ask(host: InventoryHost, call: RoleCall, playHosts: readonly InventoryHost[]): AskContext<unknown> {
    const vars = this.vars.get(call)?.get(host.name) ?? {};
    return askContext(this.options.inventory, host, vars, playHosts, this.hosts);
  }

  /** Does a host's work become root in this play? */
  becomes(play: Play): boolean {
    return play.become ?? true;
  }

  /**
   * Sends a batch to a host: one round trip, its cost as an event.
   * @returns undefined when the host is unreachable.
   */
  async send(
    host: InventoryHost,
    steps: readonly Step[],
    to: { readonly phase: Phase; readonly become: boolean; readonly role?: string; readonly stage?: string },
    listener?: BatchListener,
  ): Promise<readonly StepResult[] | undefined> {
    const { events } = this;
    const { phase, role, stage } = to;
    const exchange = async (session: Session): Promise<readonly StepResult[]> => {
      if (this.options.showScripts) {
        events.emit({ type: 'script', host: host.name, phase, role, stage, text: showSteps(steps) });
      }
      const before = { ...session.traffic };
      const start = performance.now();
      const results = await session.run(steps, listener);
      const { traffic } = session;
      events.emit({
        type: 'phase-finished',
        host: host.name,
        phase,
        role,
        stage,
        cost: {
          ms: Math.round(performance.now() - start),
          roundTrips: traffic.roundTrips - before.roundTrips,
          bytesOut: traffic.bytesOut - before.bytesOut,
          bytesIn: traffic.bytesIn - before.bytesIn,
        },
      });
      return results;
    };
    return this.pool.use(host, to.become, exchange, phase === 'change');
  }
}

/** What is known of a host before it is asked anything. */
export function askContext(
  inventory: Inventory,
  host: InventoryHost,
  vars: Readonly<Record<string, unknown>>,
  playHosts: readonly InventoryHost[],
  runHosts: readonly InventoryHost[],
): AskContext<unknown> {
  const group = (name: string) => inventory.groups.get(name) ?? [];
  return { vars, host, group, inventory: inventory.hosts, playHosts, runHosts };
}

/** A batch as a person reads it: every function once, then each step under its id, with its conditions. */
function showSteps(steps: readonly Step[]): string {
  const whole = Script.join(
    steps.flatMap((step) => [step.onlyIf, step.script, step.stopIf].filter((script) => !!script)),
  );
  return [
    ...whole.functions.map(({ functionName, body }) => `${functionName}() {\n${body}\n}`),
    ...steps.map((step) =>
      [
        `# ${step.id} (within ${step.timeout} s)${step.onlyIf ? `, if: ${step.onlyIf.shown}` : ''}`,
        step.script.shown,
        ...(step.stopIf ? [`# stop here if: ${step.stopIf.shown}`] : []),
      ].join('\n'),
    ),
  ].join('\n\n');
}
