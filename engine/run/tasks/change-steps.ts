/**
 * The steps of one change. It is guarded on the host by its own probe: before (does the wanted state hold already?) and
 * after (did the change take?); under a lock also by the lock's health checks. Pure.
 */
import type { StepResult } from '../../remote/session.ts';
import { CHANGE_TIMEOUT, PROBE_TIMEOUT } from '../../resource.ts';
import { Script, sh } from '../../script.ts';
import { holds } from '../../state.ts';
import { SUCCEEDED } from './merged-changes.ts';
import { clearOnSuccess, clearPending, isPending, withPendingMark } from './pending-handlers.ts';
import type { HealthCheck, PreparedDecision } from './prepare-changes.ts';
import type { ProbeStep } from './shared-probes.ts';
import type { ResourceInstance } from './task-instances.ts';

/** The steps of a change, by the ends of their ids. */
export const STEPS = ['before', 'health_before', 'change', 'after', 'health_after'] as const;

/** One of {@link STEPS}. */
export type StepName = (typeof STEPS)[number];

/** The result of each step of a change that ran. */
export type StepResults = Readonly<Partial<Record<StepName, StepResult>>>;

/** How a change is made. */
export interface ChangeRequest {
  /** Its script; of merged changes the leader's makes them all. */
  readonly script: Script;
  /** Seconds it may take. */
  readonly timeout: number;
  /** Did the check find that it is to be made, and does no other change make it? */
  readonly isExpected: boolean;
  /** Has its content been uploaded? It is then made without another probe before it. */
  readonly isUploaded: boolean;
}

/** The steps of the change of `decision`. */
export function changeSteps(decision: PreparedDecision, request: ChangeRequest): readonly ProbeStep[] {
  const title = decision.instance.task.name;
  return guardedSteps(decision, request).map((step) => ({ ...step, title }));
}

function guardedSteps(decision: PreparedDecision, request: ChangeRequest): readonly ProbeStep[] {
  const { instance, healthBefore, healthAfter } = decision;
  const { key, task, pendingName } = instance;
  const { script, timeout, isExpected, isUploaded } = request;
  const resource = task.action;
  const verifies = resource.verify !== 'exit code';
  const failed = (step: string): Script => Script.raw(`case $hw_rc_${key}_${step} in ''|${SUCCEEDED}) false ;; esac`);
  const passed = (...steps: string[]): Script =>
    Script.raw(steps.map((step) => `case $hw_rc_${key}_${step} in ${SUCCEEDED}) ;; *) false ;; esac`).join(' && '));
  const stopUnlessIgnored = (condition: Script): { stopIf: Script } | undefined =>
    task.options.ignoreErrors ? undefined : { stopIf: condition };
  const healthStep = (name: StepName, check: HealthCheck, onlyIf: Script): ProbeStep => ({
    id: `${key}.${name}`,
    script: check.script,
    timeout: check.resource.timeout ?? CHANGE_TIMEOUT,
    onlyIf,
    stopIf: failed(name),
    mayChange: true,
  });

  // A handler runs when it is pending, whatever its probe says; a task when its probe differs from what is wanted.
  const isDue = pendingName !== undefined ? isPending(pendingName) : isUploaded ? sh`:` : sh`[ "$hw_differs" = 1 ]`;
  const steps: ProbeStep[] = [];
  if (pendingName === undefined && !isUploaded) {
    steps.push({
      id: `${key}.before`,
      script: resource.probe,
      timeout: PROBE_TIMEOUT,
      capture: true,
      sharedProbe: isExpected ? undefined : resource.sharedProbe,
      stopIf: sh`{ ${failed('before')} || { ${holds(resource.wanted)} && hw_differs=0 || hw_differs=1; false; }; }`,
    });
  }
  if (healthBefore) steps.push(healthStep('health_before', healthBefore, isDue));
  steps.push({
    id: `${key}.change`,
    script: withMarks(instance, script),
    timeout,
    onlyIf: healthBefore ? sh`${isDue} && ${passed('health_before')}` : isDue,
    mayChange: true,
    willChange: isExpected,
    ...stopUnlessIgnored(failed('change')),
  });
  const done = ['change'];
  if (verifies) {
    steps.push({
      id: `${key}.after`,
      script: resource.probe,
      timeout: PROBE_TIMEOUT,
      capture: true,
      onlyIf: passed('change'),
      ...stopUnlessIgnored(
        sh`[ -n "$hw_rc_${Script.raw(key)}_after" ] && ! { ${passed('after')} && ${holds(resource.wanted)}; }`,
      ),
    });
    done.push('after');
  }
  if (healthAfter) {
    steps.push(healthStep('health_after', healthAfter, passed(...done)));
    done.push('health_after');
  }
  if (pendingName !== undefined && verifies) {
    const onlyIf = passed(...done);
    steps.push({ id: `${key}.clear`, script: clearPending(pendingName), timeout: PROBE_TIMEOUT, onlyIf });
  }
  return steps;
}

/** A change with the marks of the handlers that it notifies; of a handler, with the removal of its own. */
function withMarks({ task, target, notifies, pendingName }: ResourceInstance, change: Script): Script {
  const here = notifies.filter((handler) => handler.target === target).map(({ name }) => name);
  const marking = here.length > 0 ? withPendingMark(here, change) : change;
  return pendingName !== undefined && task.action.verify === 'exit code'
    ? clearOnSuccess(pendingName, marking)
    : marking;
}
