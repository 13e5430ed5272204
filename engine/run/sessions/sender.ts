/**
 * Sends steps and contents to the hosts of a run, and reports what that costs. What is prefetched is not sent again;
 * the first change clears the cache.
 */
import { Readable } from 'node:stream';
import { kindOf, type Problem } from '../../errors.ts';
import type { EventStream } from '../../event-stream.ts';
import type { InventoryHost } from '../../inventory/inventory.ts';
import type { Session, Step, StepListener, StepResult } from '../../remote/session.ts';
import { UPLOAD_TIMEOUT, type Upload } from '../../resource.ts';
import { definition, Script } from '../../script.ts';
import { NO_TRAFFIC, trafficBetween } from '../../traffic.ts';
import { isSharedProbe, withSharedProbes } from '../tasks/shared-probes.ts';
import type { PrefetchCache } from './prefetch-cache.ts';
import type { SendContext, SessionPool, Used } from './session-pool.ts';

/** Sends to the hosts of a run. */
export class Sender {
  readonly #pool: SessionPool;
  readonly #cache: PrefetchCache;
  readonly #events: EventStream;
  readonly #showScripts: boolean;

  /** @param showScripts Is every script an event before it is sent? */
  constructor(pool: SessionPool, cache: PrefetchCache, events: EventStream, showScripts: boolean) {
    this.#pool = pool;
    this.#cache = cache;
    this.#events = events;
    this.#showScripts = showScripts;
  }

  /** Begins to connect to a host. Whether that worked shows when the host is used. */
  connectAhead(host: InventoryHost, become: boolean): void {
    void this.#pool.connectAhead(host, become).then((problem) => {
      if (problem) this.#cache.putUnreachable(host.name, problem);
    });
  }

  /** Why a host is out, where it is. */
  whyUnreachable(host: string): Problem | undefined {
    return this.#pool.whyUnreachable(host);
  }

  /**
   * Sends steps to a host: one round trip; none where their results are cached.
   * @returns undefined when the host is unreachable.
   */
  async send(
    host: InventoryHost,
    steps: readonly Step[],
    context: SendContext,
    listener?: StepListener,
  ): Promise<readonly StepResult[] | undefined> {
    const changes = context.phase === 'change';
    if (changes) this.#cache.clear();
    if (this.#isOut(host)) return undefined;
    const known = listener ? undefined : this.#cache.get(host.name, context.become, steps);
    if (known) return known;
    return this.#settled(
      host,
      await this.#pool.use(host, context.become, this.#run(host, steps, context, listener), changes),
    );
  }

  /**
   * Sends steps ahead of time and caches their results. A host that can't be reached is not out until it is sent to.
   */
  async prefetch(host: InventoryHost, steps: readonly Step[], context: SendContext): Promise<void> {
    if (this.#cache.whyUnreachable(host.name) || this.#pool.whyUnreachable(host.name)) return;
    const used = await this.#pool.use(host, context.become, this.#run(host, steps, context));
    if ('value' in used) this.#cache.put(host.name, context.become, steps, used.value);
    else this.#cache.putUnreachable(host.name, used.problem);
  }

  /**
   * Sends contents to a host, each on the stdin of its script, a few at once.
   * @returns the results, in their order; undefined when the host is unreachable.
   */
  async upload(
    host: InventoryHost,
    uploads: readonly Upload[],
    context: SendContext,
  ): Promise<readonly StepResult[] | undefined> {
    this.#cache.clear();
    if (this.#isOut(host)) return undefined;
    const steps = uploads.map((upload, i) => ({
      ...upload,
      id: `upload${i}`,
      timeout: UPLOAD_TIMEOUT,
      content: () => contentOf(upload),
    }));
    const work = (session: Session) => this.#measured(session, host, steps, context, () => session.upload(steps));
    return this.#settled(host, await this.#pool.use(host, context.become, work, true));
  }

  /** Reports that a host waited for another, from a time by performance.now() on. */
  reportWait(host: string, since: number, { phase, role, stage }: SendContext): void {
    const cost = { ms: Math.round(performance.now() - since), ...NO_TRAFFIC };
    this.#events.emit({ type: 'phase-finished', host, phase, role, stage, cost });
  }

  /** Is a host unreachable, by now or since it was prefetched from? */
  #isOut(host: InventoryHost): boolean {
    const problem = this.#cache.whyUnreachable(host.name);
    if (problem) this.#pool.setUnreachable(host, problem);
    return this.#pool.whyUnreachable(host.name) !== undefined;
  }

  #settled<T>(host: InventoryHost, used: Used<T>): T | undefined {
    if ('value' in used) return used.value;
    this.#pool.setUnreachable(host, used.problem);
    return undefined;
  }

  #run(
    host: InventoryHost,
    given: readonly Step[],
    context: SendContext,
    listener?: StepListener,
  ): (session: Session) => Promise<readonly StepResult[]> {
    const steps = withSharedProbes(given);
    return async (session) => {
      const guard = listener && new GuardedListener(listener);
      const results = await this.#measured(session, host, steps, context, () => session.run(steps, guard));
      if (guard?.error !== undefined) throw guard.error;
      return results.filter((result) => !isSharedProbe(result));
    };
  }

  /** Does something over a session, and reports its cost. */
  async #measured<T>(
    session: Session,
    host: InventoryHost,
    steps: readonly Pick<Step, 'id' | 'script' | 'timeout' | 'onlyIf' | 'stopIf'>[],
    { phase, role, stage }: SendContext,
    work: () => Promise<T>,
  ): Promise<T> {
    if (this.#showScripts) {
      this.#events.emit({ type: 'script', host: host.name, phase, role, stage, text: textOf(steps) });
    }
    const before = { ...session.traffic };
    const start = performance.now();
    const results = await work();
    const cost = { ms: Math.round(performance.now() - start), ...trafficBetween(before, session.traffic) };
    this.#events.emit({ type: 'phase-finished', host: host.name, phase, role, stage, cost });
    return results;
  }
}

/**
 * A listener whose exceptions don't reach the socket that it hears from: the first is kept, and thrown by who sent the
 * steps.
 */
class GuardedListener implements StepListener {
  readonly #listener: StepListener;
  error: unknown;

  constructor(listener: StepListener) {
    this.#listener = listener;
  }

  started(id: string): void {
    this.#guard(() => this.#listener.started?.(id));
  }

  output(id: string, stream: 'stdout' | 'stderr', chunk: Buffer): void {
    this.#guard(() => this.#listener.output?.(id, stream, chunk));
  }

  finished(result: StepResult): void {
    this.#guard(() => this.#listener.finished?.(result));
  }

  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.error ??= error;
    }
  }
}

/**
 * The content of an upload. Where a resource's code throws, or returns something else, a stream that fails: the
 * upload's result says why.
 */
function contentOf(upload: Upload): Readable {
  try {
    const content: unknown = upload.content();
    if (content instanceof Readable) return content;
    throw new TypeError(`the content of the upload is ${kindOf(content)}, not a stream: Readable.from([...])`);
  } catch (error) {
    return new Readable({
      read() {
        this.destroy(error instanceof Error ? error : new Error(String(error)));
      },
    });
  }
}

/** Steps as a person reads them: every function once, then each step under its id, with its conditions. */
function textOf(steps: readonly Pick<Step, 'id' | 'script' | 'timeout' | 'onlyIf' | 'stopIf'>[]): string {
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
