/**
 * The sessions of a run: opened when first needed, one per host and user, closed at the end. A host that can't be
 * reached, or whose link is lost, stays out for the rest of the run.
 */
import { setMaxListeners } from 'node:events';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { LimitFunction } from 'p-limit';
import { type Problem, UserError } from '../../errors.ts';
import type { EventStream } from '../../event-stream.ts';
import type { Phase } from '../../events.ts';
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
import { Machines } from './machines.ts';

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
  /**
   * Hosts that are locked with their first steps. Others are read, and locked when a task delegated to them changes
   * them.
   */
  readonly changeable: ReadonlySet<string>;
}

/** What steps are sent for. */
export interface SendContext {
  readonly phase: Phase;
  /** As root, or as the host's own user? */
  readonly become: boolean;
  /** The stage it is for; undefined for preflight checks and for what is prefetched. */
  readonly role?: string;
  readonly stage?: string;
}

/** What came of using a session. */
export type Used<T> = { readonly value: T } | { readonly problem: Problem };

/** Opens, keeps and closes sessions. */
export class SessionPool {
  readonly #options: PoolOptions;
  readonly #sessions = new Map<string, Promise<Session>>();
  readonly #unreachable = new Map<string, Problem>();
  readonly #locked = new Set<Session>();
  readonly #machines: Machines;
  /** Aborted when the user asks to stop: hosts that are not connected yet are not waited for. */
  readonly #connecting = new AbortController();
  #interrupted: 'after this step' | 'now' | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#machines = new Machines(options.events);
    // Every host that is being connected to listens.
    setMaxListeners(0, this.#connecting.signal);
  }

  /** Why a host is out, where it is. */
  whyUnreachable(host: string): Problem | undefined {
    return this.#unreachable.get(host);
  }

  /** Takes a host out for the rest of the run. */
  setUnreachable(host: InventoryHost, problem: Problem): void {
    if (this.#unreachable.has(host.name)) return;
    this.#unreachable.set(host.name, problem);
    const { events, changeable } = this.#options;
    if (changeable.has(host.name)) events.emit({ type: 'host-unreachable', host: host.name, problem });
    else {
      const what = `${problem.what}; the host is not in this run, but a task reads it or is delegated to it`;
      events.emit({ type: 'warning', problem: { ...problem, host: host.name, what } });
    }
  }

  /**
   * Begins to connect to a host, within `--forks`. This machine itself is connected to when it is used.
   * @returns why it can't be reached, where it can't.
   */
  async connectAhead(host: InventoryHost, become: boolean): Promise<Problem | undefined> {
    if (this.#options.connect(host, become).transport === 'local') return undefined;
    try {
      await this.#options.limit(() => this.#session(host, become));
      return undefined;
    } catch (error) {
      // Any other error comes again when the host is used.
      return error instanceof LinkError ? error.problem : undefined;
    }
  }

  /**
   * Does something over a host's session, within `--forks`; opens it first where needed.
   * @param changes Does it change something? The host is locked before, and no other session changes its machine
   *   meanwhile.
   * @returns its value, or why the host is unreachable. It is connected to anew the next time.
   */
  async use<T>(
    host: InventoryHost,
    become: boolean,
    work: (session: Session) => Promise<T>,
    changes = false,
  ): Promise<Used<T>> {
    return this.#options.limit(async () => {
      const opening = this.#session(host, become);
      try {
        const session = await opening;
        if (!changes) return { value: await work(session) };
        this.#lock(session);
        return { value: await this.#machines.exclusively(session, () => work(session)) };
      } catch (error) {
        if (error instanceof LockError) return { problem: error.problem };
        if (!(error instanceof LinkError)) throw error;
        await this.#discard(keyOf(host, become), opening);
        return { problem: error.problem };
      }
    });
  }

  #session(host: InventoryHost, become: boolean): Promise<Session> {
    const key = keyOf(host, become);
    const known = this.#sessions.get(key);
    if (known) return known;
    const { open, events, changeable } = this.#options;
    const opening = (async () => {
      const start = performance.now();
      const session = await open(this.#connection(host, become), this.#connecting.signal);
      const ms = Math.round(performance.now() - start);
      events.emit({ type: 'host-connected', host: host.name, ms });
      for (const phase of ['connect', 'authenticate', 'become'] as const) {
        this.#emitCost(host.name, phase, session.opening[phase]);
      }
      this.#machines.add(host.name, session, host.at);
      if (changeable.has(host.name)) this.#lock(session);
      if (this.#interrupted) await session.interrupt(this.#interrupted);
      return session;
    })();
    this.#sessions.set(key, opening);
    opening.catch(() => this.#sessions.delete(key));
    return opening;
  }

  /** Closes a session whose link is lost. Another use may have found that out before, and a new session be open. */
  async #discard(key: string, broken: Promise<Session>): Promise<void> {
    if (this.#sessions.get(key) === broken) this.#sessions.delete(key);
    await broken.then((session) => session.close()).catch(() => {});
  }

  /**
   * How to reach a host.
   * @throws LinkError where its variables are wrong. Those of the plays' hosts are validated, not those of the hosts
   *   that are only read or delegated to.
   */
  #connection(host: InventoryHost, become: boolean): Connection {
    try {
      return this.#options.connect(host, become);
    } catch (error) {
      const [problem] = error instanceof UserError ? error.problems : [];
      throw problem ? new LinkError('connect', problem) : error;
    }
  }

  /** Has a session take the lock with its next steps, once. Root's lock and a user's are two; a run may hold both. */
  #lock(session: Session): void {
    const { lock } = this.#options;
    if (!lock || this.#locked.has(session)) return;
    this.#locked.add(session);
    session.lock(lock);
  }

  /**
   * Runs steps over a connection of their own, opened now and closed after: proof that the way in is open.
   * @returns the results, or why there is no such connection.
   */
  async onNewConnection(
    host: InventoryHost,
    steps: readonly Step[],
    context: SendContext,
  ): Promise<readonly StepResult[] | Problem> {
    const start = performance.now();
    let session: Session | undefined;
    try {
      session = await this.#options.open(this.#connection(host, context.become));
      return await session.run(steps);
    } catch (error) {
      if (error instanceof LinkError) return error.problem;
      throw error;
    } finally {
      await session?.close();
      const cost = { ms: performance.now() - start, ...(session?.wire ?? NO_TRAFFIC) };
      this.#emitCost(host.name, context.phase, cost, context);
    }
  }

  /**
   * What a script prints on a host, for another host. It runs beside whatever the session is at, and beyond `--forks`.
   * The stream fails where that fails.
   */
  read(host: InventoryHost, script: Script, context: SendContext): Readable {
    const out = new PassThrough();
    void this.#pipe(host, script, context, out).catch((error) => out.destroy(error));
    return out;
  }

  async #pipe(host: InventoryHost, script: Script, context: SendContext, out: PassThrough): Promise<void> {
    const session = await this.#session(host, context.become);
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
      this.#emitCost(host.name, context.phase, { ms: performance.now() - start, ...traffic }, context);
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
      const cost = { ms: performance.now() - start, ...trafficBetween(before, session.wire) };
      this.#emitCost(session.name, 'close', cost);
    });
  }

  /** Costs are measured in fractions of milliseconds, and reported in whole ones. */
  #emitCost(host: string, phase: Phase, cost: Cost, context?: SendContext): void {
    this.#options.events.emit({
      type: 'phase-finished',
      host,
      phase,
      role: context?.role,
      stage: context?.stage,
      cost: { ...cost, ms: Math.round(cost.ms) },
    });
  }

  async #each(act: (session: Session) => Promise<void>): Promise<void> {
    await Promise.allSettled([...this.#sessions.values()].map(async (opening) => act(await opening)));
  }
}

/** A host has a session as root, and one as its own user, where plays want both. */
const keyOf = (host: InventoryHost, become: boolean): string => `${host.name} ${become}`;
