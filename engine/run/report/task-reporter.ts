/** What became of the tasks of a stage on one host, told as events and counted for the recap. */
import type { TaskStatus } from '../../events.ts';
import type { InventoryHost } from '../../inventory/inventory.ts';
import type { RunContext } from '../context.ts';
import type { Outcome } from '../tasks/change.ts';
import type { Decision } from '../tasks/check-phase.ts';
import { hasResource, type StagePlace, type TaskInstance, verdictOf } from '../tasks/task-instances.ts';

/** Tells of one host's tasks. */
export class TaskReporter {
  readonly #run: RunContext;
  readonly #place: StagePlace;
  readonly #host: InventoryHost;
  /** What exactly differs, where that was asked (`--diff`). */
  readonly diffs = new Map<TaskInstance, string>();

  constructor(run: RunContext, place: StagePlace, host: InventoryHost) {
    this.#run = run;
    this.#place = place;
    this.#host = host;
  }

  /**
   * A instance whose fate is known without the change phase.
   * @param refused Another instance of the stage can't be done, so that none is.
   */
  report(decision: Decision, refused: boolean): void {
    const status = ((): TaskStatus => {
      switch (decision.what) {
        case 'nothing':
          return 'ok';
        case 'skip':
          return 'skipped';
        case 'fail':
          return decision.instance.task.options.ignoreErrors ? 'ignored' : 'failed';
        case 'change':
          if (refused && !this.#run.options.check) return 'not run';
          // A wait changes nothing; in check mode it is not waited for.
          return hasResource(decision.instance) && decision.instance.task.action.readOnly ? 'skipped' : 'would change';
      }
    })();
    // A handler that nobody notified did not happen.
    if (decision.instance.pendingName !== undefined && decision.what === 'nothing') return;
    const verdict = verdictOf(decision.instance);
    if (verdict) {
      const { id, evidence, what, expected, hint } = verdict;
      this.#run.events.emit({
        type: 'verdict',
        host: this.#host.name,
        role: this.#place.call.role.name,
        check: id,
        verdict: verdict.verdict,
        evidence,
        problem: what === undefined ? undefined : { what, expected, hint, host: this.#host.name },
      });
    }
    this.finish(decision.instance, status, decision);
  }

  /** A instance's change begins on the host. */
  begin(instance: TaskInstance): void {
    this.#run.events.emit({ type: 'task-started', host: this.#host.name, task: instance.ref });
  }

  /** Output of a instance's change, or words about it. */
  output(instance: TaskInstance, text: string, stream: 'stdout' | 'stderr' = 'stdout'): void {
    if (text === '') return;
    this.#run.events.emit({ type: 'task-output', host: this.#host.name, task: instance.ref, stream, text });
  }

  /** A instance's end. */
  finish(
    instance: TaskInstance,
    status: TaskStatus,
    known: { readonly found?: Outcome['found']; readonly failure?: Outcome['failure']; readonly ms?: number } = {},
  ): void {
    this.#run.count(this.#host, status);
    const { action } = instance.task;
    this.#run.events.emit({
      type: 'task-finished',
      host: this.#host.name,
      task: status === 'failed' || status === 'ignored' ? { ...instance.ref, at: instance.task.at } : instance.ref,
      status,
      ms: known.ms ?? 0,
      found: known.found,
      wanted: hasResource(instance) && status !== 'skipped' && 'wanted' in action ? action.wanted : undefined,
      diff: this.diffs.get(instance),
      failure: known.failure,
    });
  }
}
