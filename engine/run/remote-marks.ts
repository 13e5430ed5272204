/**
 * Marks of pending handlers that lie on another host than the task that notifies them: the task is delegated, or the
 * handler is. They are written there before the change, and removed after it where it changed nothing.
 */
import type { Problem } from '../errors.ts';
import { PROBE_TIMEOUT } from '../resource.ts';
import type { StageSender } from './stage-sender.ts';
import { lastLines } from './tasks/failures.ts';
import type { Outcome } from './tasks/outcomes.ts';
import { clearPending, markPending, type PendingHandler } from './tasks/pending-handlers.ts';
import type { Segment } from './tasks/segments.ts';

/**
 * The marks that a segment needs on other hosts. Costs a round trip for each of these, and none where there are none.
 */
export class RemoteMarks {
  readonly #sender: StageSender;
  readonly #handlers: readonly PendingHandler[];
  /** Names by target: those that this segment wrote, and that were not there before. */
  readonly #written = new Map<string, readonly string[]>();

  constructor(sender: StageSender, { target, decisions }: Segment) {
    this.#sender = sender;
    this.#handlers = decisions
      .flatMap(({ instance }) => instance.notifies)
      .filter((handler) => handler.target !== target);
  }

  /**
   * Writes the marks. Without them the change must not be made.
   * @returns `stopped` where the user stopped the run meanwhile, or why they can't be written.
   */
  async mark(): Promise<'written' | 'stopped' | Problem> {
    for (const target of new Set(this.#handlers.map((handler) => handler.target))) {
      const names = [...new Set(this.#handlers.filter((each) => each.target === target).map(({ name }) => name))];
      const steps = [{ id: 'mark', script: markPending(names), timeout: PROBE_TIMEOUT, mayChange: true }];
      const [result] = (await this.#sender.send(target, 'change', steps)) ?? [];
      if (result?.outcome === 'skipped' || result?.outcome === 'interrupted') return 'stopped';
      if (result?.outcome !== 'ran' || result.exitCode !== 0) {
        const why = result ? `: ${lastLines(result.stderr)}` : '';
        return { what: `the handlers of ${target} can't be marked as pending${why}` };
      }
      this.#written.set(target, result.stdout.toString().split('\n').filter(Boolean));
    }
    return 'written';
  }

  /**
   * Removes the marks whose tasks ended without a change. Those of a failed one stay: it may have changed something.
   */
  async clearUnused(outcomes: readonly Outcome[]): Promise<void> {
    const used = outcomes.flatMap(({ status, instance }) =>
      status === 'ok' || status === 'not run' ? [] : instance.notifies.map(({ name }) => name),
    );
    for (const [target, names] of this.#written) {
      const unused = names.filter((name) => !used.includes(name));
      if (unused.length === 0) continue;
      await this.#sender.send(target, 'change', [
        { id: 'clear', script: clearPending(...unused), timeout: PROBE_TIMEOUT, mayChange: true },
      ]);
    }
  }
}
