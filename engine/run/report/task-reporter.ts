/** Reports what becomes of the tasks of a stage on one host: as events, and in the counts of the recap. */
import type { EventStream } from '../../event-stream.ts';
import type { TaskFailure, TaskStatus } from '../../events.ts';
import type { InventoryHost } from '../../inventory/inventory.ts';
import type { State } from '../../state.ts';
import type { Decision } from '../tasks/check-phase.ts';
import { hasResource, type StagePlace, type TaskInstance, verdictOf } from '../tasks/task-instances.ts';
import type { Recap } from './recap.ts';

/** What {@link TaskReporter} needs. */
export interface ReporterContext {
  readonly events: EventStream;
  readonly recap: Recap;
  /** Check mode: what differs would change. */
  readonly isCheck: boolean;
}

/** Reports one host's tasks. */
export class TaskReporter {
  readonly #context: ReporterContext;
  readonly #place: StagePlace;
  readonly #host: string;
  /** What exactly differs, where that was asked (`--diff`). */
  readonly diffs = new Map<TaskInstance, string>();

  constructor(context: ReporterContext, place: StagePlace, host: InventoryHost) {
    this.#context = context;
    this.#place = place;
    this.#host = host.name;
  }

  /**
   * An instance that ends without a change.
   * @param isRefused Can another task of the stage not be done, so that none is?
   */
  report(decision: Decision, isRefused: boolean): void {
    const { instance, what } = decision;
    // A handler that nobody notified did not happen.
    if (instance.pendingName !== undefined && what === 'nothing') return;
    this.#reportVerdict(instance);
    this.finish(instance, this.#statusOf(decision, isRefused), decision);
  }

  #statusOf({ instance, what }: Decision, isRefused: boolean): TaskStatus {
    switch (what) {
      case 'nothing':
        return 'ok';
      case 'skip':
        return 'skipped';
      case 'fail':
        return instance.task.options.ignoreErrors ? 'ignored' : 'failed';
      case 'change':
        if (isRefused && !this.#context.isCheck) return 'not run';
        // Check mode does not wait.
        return hasResource(instance) && instance.task.action.readOnly ? 'skipped' : 'would change';
    }
  }

  #reportVerdict(instance: TaskInstance): void {
    const verdict = verdictOf(instance);
    if (!verdict) return;
    const { id, evidence, what, expected, hint } = verdict;
    this.#context.events.emit({
      type: 'verdict',
      host: this.#host,
      role: this.#place.call.role.name,
      check: id,
      verdict: verdict.verdict,
      evidence,
      problem: what === undefined ? undefined : { what, expected, hint, host: this.#host },
    });
  }

  /** An instance's change begins on the host. */
  start({ ref }: TaskInstance): void {
    this.#context.events.emit({ type: 'task-started', host: this.#host, task: ref });
  }

  /** Output of an instance's change, or a message about it. */
  output({ ref }: TaskInstance, text: string, stream: 'stdout' | 'stderr' = 'stdout'): void {
    if (text === '') return;
    this.#context.events.emit({ type: 'task-output', host: this.#host, task: ref, stream, text });
  }

  /** An instance ends. */
  finish(
    instance: TaskInstance,
    status: TaskStatus,
    more: {
      readonly found?: State | undefined;
      readonly failure?: TaskFailure | undefined;
      readonly ms?: number;
    } = {},
  ): void {
    this.#context.recap.count(this.#host, status);
    const { task, ref } = instance;
    this.#context.events.emit({
      type: 'task-finished',
      host: this.#host,
      task: status === 'failed' || status === 'ignored' ? { ...ref, at: task.at } : ref,
      status,
      ms: more.ms ?? 0,
      found: more.found,
      wanted: hasResource(instance) && status !== 'skipped' ? instance.task.action.wanted : undefined,
      diff: this.diffs.get(instance),
      failure: more.failure,
    });
  }
}
