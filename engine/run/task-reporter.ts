/** What became of the tasks of a stage on one host, told as events and counted for the recap. */
import type { TaskStatus } from '../events.ts';
import type { InventoryHost } from '../inventory/inventory.ts';
import type { Outcome } from './change.ts';
import type { Decision } from './check-phase.ts';
import type { RunContext } from './context.ts';
import { hasResource, type StagePlace, type TaskInstance, verdictOf } from './task-instances.ts';

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
   * A unit whose fate is known without the change phase.
   * @param refused Another unit of the stage can't be done, so that none is.
   */
  report(decision: Decision, refused: boolean): void {
    const status = ((): TaskStatus => {
      switch (decision.what) {
        case 'nothing':
          return 'ok';
        case 'skip':
          return 'skipped';
        case 'fail':
          return decision.unit.task.options.ignoreErrors ? 'ignored' : 'failed';
        case 'change':
          if (refused && !this.#run.options.check) return 'not run';
          // A wait changes nothing; in check mode it is not waited for.
          return hasResource(decision.unit) && decision.unit.task.action.readOnly ? 'skipped' : 'would change';
      }
    })();
    // A handler that nobody notified did not happen.
    if (decision.unit.pendingName !== undefined && decision.what === 'nothing') return;
    const verdict = verdictOf(decision.unit);
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
    this.finish(decision.unit, status, decision);
  }

  /** A unit's change begins on the host. */
  begin(unit: TaskInstance): void {
    this.#run.events.emit({ type: 'task-started', host: this.#host.name, task: unit.ref });
  }

  /** Output of a unit's change, or words about it. */
  output(unit: TaskInstance, text: string, stream: 'stdout' | 'stderr' = 'stdout'): void {
    if (text === '') return;
    this.#run.events.emit({ type: 'task-output', host: this.#host.name, task: unit.ref, stream, text });
  }

  /** A unit's end. */
  finish(
    unit: TaskInstance,
    status: TaskStatus,
    known: { readonly found?: Outcome['found']; readonly failure?: Outcome['failure']; readonly ms?: number } = {},
  ): void {
    this.#run.count(this.#host, status);
    const { action } = unit.task;
    this.#run.events.emit({
      type: 'task-finished',
      host: this.#host.name,
      task: status === 'failed' || status === 'ignored' ? { ...unit.ref, at: unit.task.at } : unit.ref,
      status,
      ms: known.ms ?? 0,
      found: known.found,
      wanted: hasResource(unit) && status !== 'skipped' && 'wanted' in action ? action.wanted : undefined,
      diff: this.diffs.get(unit),
      failure: known.failure,
    });
  }
}
