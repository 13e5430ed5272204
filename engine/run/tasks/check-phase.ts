/** The check phase, pure: every instance's probe as steps, and what the answers decide. */
import type { TaskFailure } from '../../events.ts';
import type { StepResult } from '../../remote/session.ts';
import { PROBE_TIMEOUT } from '../../resource.ts';
import { type Difference, differences, parseState, type State } from '../../state.ts';
import { failure, lastLines } from './failures.ts';
import { listPending } from './pending-handlers.ts';
import type { ProbeStep } from './shared-probes.ts';
import { hasResource, type TaskInstance, verdictOf } from './task-instances.ts';

/** What is to be done about an instance. */
export interface Decision {
  readonly instance: TaskInstance;
  readonly what: 'nothing' | 'change' | 'skip' | 'fail';
  /** What the probe printed. Undefined for verdicts, skipped tasks and handlers, whose probe does not run. */
  readonly found: State | undefined;
  readonly differences: readonly Difference[];
  readonly failure: TaskFailure | undefined;
  /** Milliseconds that its probe took on the host; 0 without a probe. */
  readonly ms: number;
}

/** The id of the step that lists pending handlers. */
const PENDING = 'pending';

/** The probes of the instances that run on `target`. With handlers, also which are pending from an interrupted run. */
export function checkSteps(instances: readonly TaskInstance[], target: string): readonly ProbeStep[] {
  const here = instances.filter((instance) => instance.target === target);
  const probes = here
    .filter(hasResource)
    .filter((instance) => instance.pendingName === undefined && instance.task.options.when !== false)
    .map(
      ({ key, task: { name, action } }): ProbeStep => ({
        id: key,
        title: name,
        script: action.probe,
        timeout: PROBE_TIMEOUT,
        capture: true,
        sharedProbe: action.sharedProbe,
      }),
    );
  const handlers = here.some((instance) => instance.pendingName !== undefined);
  return handlers ? [...probes, { id: PENDING, script: listPending, timeout: PROBE_TIMEOUT, capture: true }] : probes;
}

/**
 * Reads the answers.
 * @param results By target.
 * @returns a decision for each instance, in their order.
 */
export function decide(
  instances: readonly TaskInstance[],
  results: ReadonlyMap<string, readonly StepResult[]>,
): readonly Decision[] {
  const resultOf = (target: string, id: string): StepResult | undefined =>
    results.get(target)?.find((result) => result.id === id);
  const decisions: Decision[] = [];
  for (const instance of instances) {
    const { pendingName, target, key, task } = instance;
    if (pendingName !== undefined) {
      const notified = decisions.some(
        ({ what, instance: other }) => what === 'change' && other.notifies.some(({ name }) => name === pendingName),
      );
      const marks = resultOf(target, PENDING)?.stdout.toString().split('\n') ?? [];
      const isPending = marks.includes(pendingName);
      const known: TaskInstance =
        isPending && !notified ? { ...instance, ref: { ...instance.ref, pending: true } } : instance;
      decisions.push(decision(known, isPending || notified ? 'change' : 'nothing'));
    } else if (task.options.when === false) {
      decisions.push(decision(instance, 'skip'));
    } else if (hasResource(instance)) {
      decisions.push(fromProbe(instance, instance.task.action.wanted, resultOf(target, key)));
    } else {
      decisions.push(fromVerdict(instance));
    }
  }
  return decisions;
}

function decision(instance: TaskInstance, what: Decision['what'], failed?: TaskFailure, ms = 0): Decision {
  return { instance, what, found: undefined, differences: [], failure: failed, ms };
}

function fromVerdict(instance: TaskInstance): Decision {
  const verdict = verdictOf(instance);
  if (verdict?.verdict !== 'refuse') return decision(instance, 'nothing');
  const expected = verdict.expected ? `; allowed: ${verdict.expected}` : '';
  const what = `${verdict.what ?? verdict.id} (${verdict.evidence})${expected}`;
  return decision(instance, 'fail', failure(what, { hint: verdict.hint }));
}

function fromProbe(instance: TaskInstance, wanted: State, result: StepResult | undefined): Decision {
  const script = hasResource(instance) ? instance.task.action.probe.shown : undefined;
  const read = readProbe(result, script);
  const ms = Math.round((result?.duration ?? 0) * 1000);
  if ('what' in read) return decision(instance, 'fail', read, ms);
  const differing = differences(read.found, wanted);
  return {
    instance,
    what: differing.length > 0 ? 'change' : 'nothing',
    found: read.found,
    differences: differing,
    failure: undefined,
    ms,
  };
}

/** A probe's answer as a state, or why there is none. */
export function readProbe(
  result: StepResult | undefined,
  script: string | undefined,
): { readonly found: State } | TaskFailure {
  const fail = (what: string): TaskFailure =>
    failure(what, {
      script,
      exitCode: result?.exitCode,
      stderr: lastLines(result?.stderr),
      stdout: lastLines(result?.stdout),
    });
  if (!result || result.outcome === 'skipped') return fail('the host did not answer its probe');
  if (result.outcome === 'timed out') return fail(`its probe timed out after ${PROBE_TIMEOUT} s`);
  if (result.outcome === 'interrupted') return fail('interrupted while its probe ran');
  if (result.exitCode !== 0) return fail(`its probe failed with exit code ${result.exitCode}`);
  try {
    return { found: parseState(result.stdout.toString()) };
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}
