/** A segment as steps, and what their results mean. Pure. */
import type { StepResult } from '../../remote/session.ts';
import { CHANGE_TIMEOUT } from '../../resource.ts';
import type { Script } from '../../script.ts';
import { changeSteps, STEPS, type StepResults } from './change-steps.ts';
import { MergedChanges, wasMerged } from './merged-changes.ts';
import { type Outcome, outcomeOf } from './outcomes.ts';
import type { PreparedDecision } from './prepare-changes.ts';
import { hasUpload, type Segment } from './segments.ts';
import type { ProbeStep } from './shared-probes.ts';

/**
 * The steps of a segment. Their results are read as they come: an outcome is known with the result of its last step.
 */
export class SegmentScript {
  readonly steps: readonly ProbeStep[];
  readonly #merged: MergedChanges;
  readonly #scripts = new Map<PreparedDecision, Script>();
  readonly #byLastStep = new Map<string, PreparedDecision>();
  readonly #results = new Map<string, StepResult>();
  #isStopped = false;

  /** @throws CallbackError where code of a resource fails. */
  constructor({ decisions }: Pick<Segment, 'decisions'>) {
    this.#merged = new MergedChanges(decisions);
    this.steps = decisions.flatMap((decision) => {
      const steps = this.#stepsOf(decision);
      this.#byLastStep.set(steps.at(-1)?.id ?? '', decision);
      return steps;
    });
  }

  #stepsOf(decision: PreparedDecision): readonly ProbeStep[] {
    const script = this.#merged.changeOf(decision);
    this.#scripts.set(decision, script);
    const members = this.#merged.membersOf(decision);
    return changeSteps(decision, {
      script,
      timeout: members.reduce((sum, { instance }) => sum + (instance.task.action.timeout ?? CHANGE_TIMEOUT), 0),
      isExpected: decision.what === 'change' && this.#merged.leaderOf(decision) === undefined,
      isUploaded: hasUpload(decision),
    });
  }

  /** Takes the next result. @returns the outcome that it completes. A handler that was not pending has none. */
  read(result: StepResult): Outcome | undefined {
    this.#results.set(result.id, result);
    const decision = this.#byLastStep.get(result.id);
    const script = decision && this.#scripts.get(decision);
    if (!decision || !script) return undefined;
    const { instance, what } = decision;
    const results = this.#resultsOf(decision);
    const hasRun = Boolean(results.before ?? results.health_before ?? results.change);
    if (instance.pendingName !== undefined && !hasRun && what !== 'change') return undefined;
    const outcome = outcomeOf(decision, script, results);
    const isMade = this.#wasMadeByLeader(decision);
    // The run was stopped before it was probed again. The next run looks.
    if (!hasRun && isMade) return { ...outcome, status: 'changed', failure: undefined };
    if (this.#isStopped && !hasRun) return { ...outcome, status: 'not run', failure: undefined };
    if (outcome.status === 'failed') this.#isStopped = true;
    return outcome.status === 'ok' && isMade ? { ...outcome, status: 'changed' } : outcome;
  }

  #resultsOf({ instance }: PreparedDecision): StepResults {
    const ran = STEPS.flatMap((step) => {
      const result = this.#results.get(`${instance.key}.${step}`);
      return result && result.outcome !== 'skipped' ? [[step, result] as const] : [];
    });
    return Object.fromEntries(ran);
  }

  #wasMadeByLeader(decision: PreparedDecision): boolean {
    const leader = this.#merged.leaderOf(decision);
    const change = leader && this.#results.get(`${leader.instance.key}.change`);
    return change !== undefined && change.outcome === 'ran' && wasMerged(change.exitCode);
  }
}
