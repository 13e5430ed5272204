/** What the parts of a run share while it goes: its options, sessions, disruptions, and which hosts are still in it. */
import type { Problem } from '../errors.ts';
import type { EventStream, HostRecap, Phase, TaskStatus } from '../events.ts';
import type { Inventory, InventoryHost } from '../inventory/inventory.ts';
import type { Play } from '../play.ts';
import type { Session, Step, StepListener, StepResult } from '../remote/session.ts';
import { UPLOAD_TIMEOUT, type Upload } from '../resource.ts';
import type { AskContext, RoleBody, RoleCall } from '../role.ts';
import { definition, Script } from '../script.ts';
import { NO_TRAFFIC, trafficBetween } from '../traffic.ts';
import { strictVars } from '../vars/strict.ts';
import type { ExclusiveLocks } from './exclusive-locks.ts';
import { type LoadedRoles, loadRoles } from './plan/load-roles.ts';
import type { RunOptions } from './run-options.ts';
import { PeerSources } from './sessions/peer-sources.ts';
import { PrefetchCache } from './sessions/prefetch-cache.ts';
import type { SendContext, SessionPool } from './sessions/session-pool.ts';
import { isSharedProbe, withSharedProbes } from './tasks/shared-probes.ts';

/** One play of a run, with the hosts it is for. */
export interface PlayRun {
  readonly play: Play;
  /** In inventory order, after `--limit`. */
  readonly hosts: readonly InventoryHost[];
}

/** What a batch is sent for. */
export interface PhaseContext extends SendContext {
  readonly phase: Phase;
}

/** State of a run. */
export class RunContext {
  readonly options: RunOptions;
  readonly pool: SessionPool;
  readonly disruptions: ExclusiveLocks;
  /** What hosts give to each other. */
  readonly seeds = new PeerSources();
  /** The hosts of every play, in the inventory's order. */
  readonly hosts: readonly InventoryHost[];
  /** Variables of each host and role call, validated before anything was connected. */
  readonly vars: ReadonlyMap<RoleCall, ReadonlyMap<string, Readonly<Record<string, unknown>>>>;
  /** What hosts have been asked ahead, and is still true. */
  readonly foresight = new PrefetchCache();
  #works: LoadedRoles = new Map();
  readonly #byName: ReadonlyMap<string, InventoryHost>;
  readonly #out = new Set<string>();
  readonly #counts = new Map<
    string,
    { ok: number; changed: number; failed: number; skipped: number; ignored: number }
  >();

  constructor(
    options: RunOptions,
    pool: SessionPool,
    disruptions: ExclusiveLocks,
    hosts: readonly InventoryHost[],
    vars: RunContext['vars'],
  ) {
    this.options = options;
    this.#byName = new Map([...options.inventory.hosts, ...hosts].map((host) => [host.name, host]));
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

  /** A host of the inventory or of a play (a localhost that the inventory does not name is one of its play's). */
  hostNamed(name: string): InventoryHost | undefined {
    return this.#byName.get(name);
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

  /** Ansible's recap lines, of every host; of a localhost that nobody named, where it had anything to do. */
  recap(): readonly HostRecap[] {
    const told = this.hosts.filter(({ name, implicit }) => !implicit || this.#counts.has(name) || this.#out.has(name));
    return told.map(({ name }) => ({
      host: name,
      ...this.#countsOf(name),
      unreachable: this.pool.whyUnreachable(name) ? 1 : 0,
    }));
  }

  /**
   * Loads what the plays' roles do.
   * @throws UserError as {@link loadRoles} does.
   */
  async load(plays: readonly PlayRun[]): Promise<void> {
    this.#works = await loadRoles(plays, this.options.tags);
  }

  /** What a role does, once it is loaded. */
  bodyOf({ role }: RoleCall): RoleBody {
    const work = this.#works.get(role);
    if (!work) throw new Error(`the role ${role.name} is not loaded`);
    return work;
  }

  /** What a role's pure functions are given for a host. */
  ask(host: InventoryHost, call: RoleCall, playHosts: readonly InventoryHost[]): AskContext<unknown> {
    const vars = this.vars.get(call)?.get(host.name) ?? {};
    return askContext(this.options.inventory, host, strictVars(vars, call.role), playHosts, this.hosts);
  }

  /** Does a host's work become root in this play? */
  becomes(play: Play): boolean {
    return play.become ?? true;
  }

  /**
   * Sends a batch to a host: one round trip, its cost as an event. None where all of it has been asked ahead and nothing was
   * changed since. What is sent to change something ends all foresight.
   * @returns undefined when the host is unreachable.
   */
  async send(
    host: InventoryHost,
    steps: readonly Step[],
    to: PhaseContext,
    listener?: StepListener,
  ): Promise<readonly StepResult[] | undefined> {
    if (to.phase === 'change') this.#endForesight();
    const known = listener ? undefined : this.foresight.get(host.name, to.become, steps);
    if (known && this.pool.whyUnreachable(host.name) === undefined) return known;
    const exchange = (session: Session) => this.#exchange(session, host, steps, to, listener);
    return this.pool.use(host, to.become, exchange, to.phase === 'change');
  }

  /** Asks a host ahead, for {@link send} to know. A host that can't be reached is not out before it is asked in earnest. */
  async sendAhead(host: InventoryHost, steps: readonly Step[], to: PhaseContext): Promise<void> {
    const results = await this.pool.useAhead(host, to.become, (session) => this.#exchange(session, host, steps, to));
    if (results) this.foresight.put(host.name, to.become, steps, results);
  }

  /**
   * Sends contents to a host, each on the stdin of its script, a few at once.
   * @returns the results, in their order; undefined when the host is unreachable.
   */
  async upload(
    host: InventoryHost,
    uploads: readonly Upload[],
    to: PhaseContext,
  ): Promise<readonly StepResult[] | undefined> {
    this.#endForesight();
    const transfers = uploads.map((upload, i) => ({ ...upload, id: `upload${i}`, timeout: UPLOAD_TIMEOUT }));
    const work = (session: Session) => this.#counted(session, host, transfers, to, () => session.upload(transfers));
    return this.pool.use(host, to.become, work, true);
  }

  /** Notes that a host waited for another, from a time by performance.now() on. */
  waited(host: string, since: number, { phase, role, stage }: PhaseContext): void {
    const cost = { ms: Math.round(performance.now() - since), ...NO_TRAFFIC };
    this.events.emit({ type: 'phase-finished', host, phase, role, stage, cost });
  }

  #endForesight(): void {
    this.foresight.clear();
    this.pool.retryUnreachable();
  }

  async #exchange(
    session: Session,
    host: InventoryHost,
    asked: readonly Step[],
    to: PhaseContext,
    listener?: StepListener,
  ): Promise<readonly StepResult[]> {
    const steps = withSharedProbes(asked);
    const results = await this.#counted(session, host, steps, to, () => session.run(steps, listener));
    return results.filter((result) => !isSharedProbe(result));
  }

  /** Does something over a session, its cost as an event. */
  async #counted<T>(
    session: Session,
    host: InventoryHost,
    steps: readonly Step[],
    { phase, role, stage }: PhaseContext,
    work: () => Promise<T>,
  ): Promise<T> {
    const { events } = this;
    if (this.options.showScripts) {
      events.emit({ type: 'script', host: host.name, phase, role, stage, text: showSteps(steps) });
    }
    const before = { ...session.traffic };
    const start = performance.now();
    const results = await work();
    const cost = { ms: Math.round(performance.now() - start), ...trafficBetween(before, session.traffic) };
    events.emit({ type: 'phase-finished', host: host.name, phase, role, stage, cost });
    return results;
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
    ...whole.functions.map(definition),
    ...steps.map((step) =>
      [
        `# ${step.id} (within ${step.timeout} s)${step.onlyIf ? `, if: ${step.onlyIf.shown}` : ''}`,
        step.script.shown,
        ...(step.stopIf ? [`# stop here if: ${step.stopIf.shown}`] : []),
      ].join('\n'),
    ),
  ].join('\n\n');
}
