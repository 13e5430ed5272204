/**
 * The sessions of a run: opened when first needed, one per host, closed at the end. A host that could not be reached, or whose
 * link broke, stays out for the rest of the run.
 */
import { setMaxListeners } from 'node:events';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { LimitFunction } from 'p-limit';
import type { Problem } from '../../errors.ts';
import type { EventStream, Phase } from '../../events.ts';
import type { InventoryHost } from '../../inventory/inventory.ts';
import {
  type Connection,
  LinkError,
  LockError,
  type LockRequest,
  type OpenSession,
  type Session,
  type Step,
  type StepResult,
} from '../../remote/session.ts';
import type { Script } from '../../script.ts';
import { type Cost, NO_TRAFFIC, trafficBetween } from '../../traffic.ts';

/** What {@link SessionPool} needs. */
export interface PoolOptions {
  readonly open: OpenSession;
  /** How to reach a host, as root or as its own user. */
  readonly connect: (host: InventoryHost, become: boolean) => Connection;
  /** Bounds what happens at once (`--forks`). */
  readonly limit: LimitFunction;
  readonly events: EventStream;
  /** Held on every host that may be changed; undefined in check mode, which only reads. */
  readonly lock: LockRequest | undefined;
  /** Hosts that are locked from the first batch on. Others are only read, and locked when a task delegated to them changes something. */
  readonly changeable: ReadonlySet<string>;
}

/** What something is done for: as root or as the host's own user, and for which stage; none for checks, and for what is asked ahead. */
export interface SendContext {
  readonly become: boolean;
  readonly role?: string;
  readonly stage?: string;
}

/** Opens, keeps and closes sessions. */
export class SessionPool {
  readonly #options: PoolOptions;
  readonly #sessions = new Map<string, Promise<Session>>();
  readonly #unreachable = new Map<string, Problem>();
  readonly #locked = new Set<Session>();
  /** Hosts that could not be reached when they were asked ahead, and would not be now: nothing has changed since. */
  readonly #foreseen = new Map<string, Problem>();
  /** Sessions that could not be opened ahead, by {@link keyOf}. */
  readonly #failedAhead = new Set<string>();
  /** Aborted when the user asks to stop: hosts that are not connected yet are not waited for. */
  readonly #connecting = new AbortController();
  #interrupted: 'after this step' | 'now' | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
    // Every host that is being connected to listens.
    setMaxListeners(0, this.#connecting.signal);
  }

  /** Why a host is out, where it is. */
  whyUnreachable(host: string): Problem | undefined {
    return this.#unreachable.get(host);
  }

  /** Begins to connect to a host over the network, within `--forks`. Whether it worked is seen when the host is used. */
  connectAhead(host: InventoryHost, become: boolean): void {
    const { connect, limit } = this.#options;
    if (connect(host, become).transport === 'local') return;
    void limit(() => this.#session(host, become)).catch(() => this.#failedAhead.add(keyOf(host, become)));
  }

  /**
   * Does something over a host's session, within `--forks`; opens it first where needed.
   * @param changes It changes something: the host is locked before, where it is not yet.
   * @returns undefined when the host is or becomes unreachable; {@link whyUnreachable} then says why.
   */
  async use<T>(
    host: InventoryHost,
    become: boolean,
    work: (session: Session) => Promise<T>,
    changes = false,
  ): Promise<T | undefined> {
    const foreseen = this.#foreseen.get(host.name);
    if (foreseen) this.#setUnreachable(host, foreseen);
    if (this.#unreachable.has(host.name)) return undefined;
    const done = await this.#try(host, become, work, changes);
    if ('value' in done) return done.value;
    this.#setUnreachable(host, done.problem);
    return undefined;
  }

  /**
   * The same for what is asked ahead of its time: a host that can't be reached yet may be later, when something has been
   * changed ({@link retryUnreachable}).
   */
  async useAhead<T>(
    host: InventoryHost,
    become: boolean,
    work: (session: Session) => Promise<T>,
  ): Promise<T | undefined> {
    if (this.#foreseen.has(host.name)) return undefined;
    const done = await this.#try(host, become, work, false);
    if ('value' in done) return done.value;
    this.#foreseen.set(host.name, done.problem);
    const key = keyOf(host, become);
    const broken = this.#sessions.get(key);
    this.#sessions.delete(key);
    await broken?.then((session) => session.close()).catch(() => {});
    return undefined;
  }

  /** Something changes, maybe what kept a host from being reached. */
  retryUnreachable(): void {
    this.#foreseen.clear();
    for (const key of this.#failedAhead) this.#sessions.delete(key);
    this.#failedAhead.clear();
  }

  async #try<T>(
    host: InventoryHost,
    become: boolean,
    work: (session: Session) => Promise<T>,
    changes: boolean,
  ): Promise<{ readonly value: T } | { readonly problem: Problem }> {
    return this.#options.limit(async () => {
      try {
        const session = await this.#session(host, become);
        if (changes) this.#lock(session);
        return { value: await work(session) };
      } catch (error) {
        if (error instanceof LinkError || error instanceof LockError) return { problem: error.problem };
        throw error;
      }
    });
  }

  #setUnreachable(host: InventoryHost, problem: Problem): void {
    if (this.#unreachable.has(host.name)) return;
    this.#unreachable.set(host.name, problem);
    const { events, changeable } = this.#options;
    if (changeable.has(host.name)) events.emit({ type: 'host-unreachable', host: host.name, problem });
    else {
      const what = `${problem.what}; this run is not for it, but asks it, or does something there for another host`;
      events.emit({ type: 'warning', problem: { ...problem, host: host.name, what } });
    }
  }

  #session(host: InventoryHost, become: boolean): Promise<Session> {
    const key = keyOf(host, become);
    const known = this.#sessions.get(key);
    if (known) return known;
    const { open, connect, events, changeable } = this.#options;
    const opening = (async () => {
      const start = performance.now();
      const session = await open(connect(host, become), this.#connecting.signal);
      const ms = Math.round(performance.now() - start);
      events.emit({ type: 'host-connected', host: host.name, ms });
      for (const phase of ['connect', 'authenticate', 'become'] as const) {
        this.#tell(host.name, phase, session.opening[phase]);
      }
      if (changeable.has(host.name)) this.#lock(session);
      if (this.#interrupted) await session.interrupt(this.#interrupted);
      return session;
    })();
    this.#sessions.set(key, opening);
    return opening;
  }

  /** Has a session take the lock with its next batch, once. Root's lock and a user's are two; a run may hold both. */
  #lock(session: Session): void {
    const { lock } = this.#options;
    if (!lock || this.#locked.has(session)) return;
    this.#locked.add(session);
    session.lock(lock);
  }

  /**
   * Runs steps over a connection of their own, opened now and closed after: proof that the way in is open.
   * @param to What for.
   * @returns the answers, or why there is no such connection.
   */
  async onNewConnection(
    host: InventoryHost,
    steps: readonly Step[],
    to: SendContext,
  ): Promise<readonly StepResult[] | Problem> {
    const { open, connect } = this.#options;
    const start = performance.now();
    let session: Session | undefined;
    try {
      session = await open(connect(host, to.become));
      return await session.run(steps);
    } catch (error) {
      if (error instanceof LinkError) return error.problem;
      throw error;
    } finally {
      await session?.close();
      this.#tell(host.name, 'confirm', { ms: performance.now() - start, ...(session?.wire ?? NO_TRAFFIC) }, to);
    }
  }

  /**
   * What a script prints on a host, for another one, beside whatever it is at, and beyond `--forks`. The stream fails where
   * that fails.
   */
  read(host: InventoryHost, script: Script, to: SendContext): Readable {
    const out = new PassThrough();
    void this.#give(host, script, to, out).catch((error) => out.destroy(error));
    return out;
  }

  async #give(host: InventoryHost, script: Script, to: SendContext, out: PassThrough): Promise<void> {
    const session = await this.#session(host, to.become);
    const start = performance.now();
    let bytesIn = 0;
    const content = session.read(script);
    content.on('data', (chunk: Buffer) => {
      bytesIn += chunk.length;
    });
    try {
      await pipeline(content, out);
    } finally {
      const traffic = { roundTrips: session.channelRoundTrips, bytesOut: 0, bytesIn };
      this.#tell(host.name, 'peer-upload', { ms: performance.now() - start, ...traffic }, to);
    }
  }

  /** Stops what runs on every host. */
  async interrupt(how: 'after this step' | 'now'): Promise<void> {
    this.#interrupted = how;
    this.#connecting.abort();
    await this.#each((session) => session.interrupt(how));
  }

  /** Closes every session. Never throws. */
  async close(): Promise<void> {
    // Nobody is going to use what is not open by now.
    this.#connecting.abort();
    await this.#each(async (session) => {
      const [start, before] = [performance.now(), session.wire];
      await session.close();
      this.#tell(session.name, 'close', { ms: performance.now() - start, ...trafficBetween(before, session.wire) });
    });
  }

  /** What a phase cost. Milliseconds are measured in fractions, and told without. */
  #tell(host: string, phase: Phase, cost: Cost, to?: SendContext): void {
    this.#options.events.emit({
      type: 'phase-finished',
      host,
      phase,
      role: to?.role,
      stage: to?.stage,
      cost: { ...cost, ms: Math.round(cost.ms) },
    });
  }

  async #each(act: (session: Session) => Promise<void>): Promise<void> {
    await Promise.allSettled([...this.#sessions.values()].map(async (opening) => act(await opening)));
  }
}

/** A host has a session as root, and one as its own user, where plays want both. */
const keyOf = (host: InventoryHost, become: boolean): string => `${host.name} ${become}`;
