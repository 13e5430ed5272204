/** What became of a task, from the results of its steps. Pure. */
import type { TaskFailure, TaskStatus } from '../../events.ts';
import type { StepResult } from '../../remote/session.ts';
import { UNCHANGED } from '../../resource.ts';
import type { Script } from '../../script.ts';
import { differences, type State } from '../../state.ts';
import { STEPS, type StepResults } from './change-steps.ts';
import { readProbe } from './check-phase.ts';
import { changeFailure, failure, healthCheckFailure, stillDiffers } from './failures.ts';
import { isSuccess } from './merged-changes.ts';
import type { PreparedDecision } from './prepare-changes.ts';
import type { ResourceInstance } from './task-instances.ts';

/** What became of one instance. */
export interface Outcome {
  readonly instance: ResourceInstance;
  readonly status: TaskStatus;
  readonly ms: number;
  readonly found: State | undefined;
  readonly failure: TaskFailure | undefined;
  /** Was the change begun, without the health check of its lock passing after it? */
  readonly isUnhealthy: boolean;
}

/** The outcome of a change whose steps ended with `results`. @param script What the change step ran. */
export function outcomeOf(decision: PreparedDecision, script: Script, results: StepResults): Outcome {
  const { before, health_before: healthBefore, change, after, health_after: healthAfter } = results;
  const { instance } = decision;
  const { action: resource, options } = instance.task;
  const lock = options.disrupts?.lock;
  const seconds = STEPS.reduce((sum, step) => sum + (results[step]?.duration ?? 0), 0);
  // A change that failed has no health check after it.
  const isUnhealthy =
    change !== undefined && decision.healthAfter !== undefined && !(healthAfter && succeeded(healthAfter));
  const ended = (status: TaskStatus, failed?: TaskFailure): Outcome =>
    withStatus(decision, status, Math.round(seconds * 1000), failed, status === 'failed' && isUnhealthy);

  if (before && (before.outcome !== 'ran' || before.exitCode !== 0)) {
    const read = readProbe(before, resource.probe.shown);
    if ('what' in read) return ended('failed', read);
  }
  if (healthBefore && !succeeded(healthBefore)) {
    const what = `not changed, since ${lock} is not healthy enough`;
    const check = decision.healthBefore;
    return ended('failed', healthCheckFailure(instance, what, check?.resource, check?.script, healthBefore));
  }
  if (!change) return ended(before && instance.pendingName === undefined ? 'ok' : 'not run');
  if (!succeeded(change)) return ended('failed', changeFailure(instance, change, script));
  // Without an answer of the second probe the user stopped the run right after the change; the next run looks.
  if (resource.verify !== 'exit code' && after) {
    const read = readProbe(after, resource.probe.shown);
    if ('what' in read) return ended('failed', { ...read, what: `changed, but ${read.what}` });
    const still = differences(read.found, resource.wanted);
    if (still.length > 0) return ended('failed', stillDiffers(script, change, still));
  }
  if (healthAfter && !succeeded(healthAfter)) {
    const what = `changed, but ${lock} did not recover`;
    const check = decision.healthAfter;
    return ended('failed', healthCheckFailure(instance, what, check?.resource, check?.script, healthAfter));
  }
  return ended(resource.readOnly || change.exitCode === UNCHANGED ? 'ok' : 'changed');
}

const succeeded = (result: StepResult): boolean => result.outcome === 'ran' && isSuccess(result.exitCode);

/** The outcome of a change that its resource's own code could not make. */
export function callbackFailed(decision: PreparedDecision, failed: TaskFailure): Outcome {
  return withStatus(decision, 'failed', 0, failed, false);
}

/** The outcome of a change whose content could not be sent. */
export function uploadFailed(decision: PreparedDecision, result: StepResult): Outcome {
  const failed = changeFailure(decision.instance, result, undefined);
  return withStatus(decision, 'failed', Math.round(result.duration * 1000), failed, false);
}

/** The outcome of a change that had to be confirmed over a new connection, and was not. */
export function unconfirmed(outcome: Outcome, decision: PreparedDecision | undefined, why: string): Outcome {
  const within = outcome.instance.task.action.confirm?.within;
  const failed = failure(`changed, but ${why}; the host reverts the change by itself within ${within} s`, {
    hint: 'see that a rule lets SSH in from this computer, then run again',
    script: decision?.change.shown,
  });
  return { ...outcome, status: 'failed', failure: failed };
}

function withStatus(
  { instance, found }: PreparedDecision,
  status: TaskStatus,
  ms: number,
  failed: TaskFailure | undefined,
  isUnhealthy: boolean,
): Outcome {
  const isIgnored = status === 'failed' && instance.task.options.ignoreErrors === true;
  return { instance, status: isIgnored ? 'ignored' : status, ms, found, failure: failed, isUnhealthy };
}
