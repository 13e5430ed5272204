/** The check phase, pure: every instance's probe as one batch, and what the answers decide. */
import type { TaskFailure } from '../../events.ts';
import type { StepResult } from '../../remote/session.ts';
import { PROBE_TIMEOUT } from '../../resource.ts';
import { mask } from '../../secret.ts';
import { type Difference, differences, parseState, type State } from '../../state.ts';
import { listPending } from './pending-handlers.ts';
import type { ProbeStep } from './shared-probes.ts';
import { hasResource, type TaskInstance, verdictOf } from './task-instances.ts';

/** What is to be done about a instance. */
export interface Decision {
  readonly instance: TaskInstance;
  readonly what: 'nothing' | 'change' | 'skip' | 'fail';
  /** What the probe printed; undefined for verdicts, skipped instances and handlers, whose probe is not asked. */
  readonly found: State | undefined;
  readonly differences: readonly Difference[];
  readonly failure: TaskFailure | undefined;
  /** Milliseconds that its probe took on the host; none for what has no probe. */
  readonly ms: number;
}

const OWED = 'owed';

/** The probes of the instances that look at `target`: one script. With handlers, also what is owed from a run that was cut. */
export function checkSteps(instances: readonly TaskInstance[], target: string): readonly ProbeStep[] {
  const here = instances.filter((instance) => instance.target === target);
  const probes = here
    .filter(hasResource)
    .filter((instance) => instance.pendingName === undefined && instance.task.options.when !== false)
    .map(({ key, task: { action } }): ProbeStep => {
      return { id: key, script: action.probe, timeout: PROBE_TIMEOUT, capture: true, sharedProbe: action.sharedProbe };
    });
  const handlers = here.some((instance) => instance.pendingName !== undefined);
  return handlers ? [...probes, { id: OWED, script: listPending, timeout: PROBE_TIMEOUT, capture: true }] : probes;
}

/** Reads the answers. `results` holds those of every target; the outcome is in the order of `instances`. */
export function decide(instances: readonly TaskInstance[], results: readonly StepResult[]): readonly Decision[] {
  const byId = new Map(results.map((result) => [result.id, result]));
  const owed = new Set(byId.get(OWED)?.stdout.toString().split('\n'));
  const decisions: Decision[] = [];
  for (const instance of instances) {
    if (instance.pendingName !== undefined) {
      const notified = decisions.some(
        ({ what, instance: other }) => what === 'change' && other.notifies.includes(instance.pendingName ?? ''),
      );
      const known: TaskInstance =
        owed.has(instance.pendingName) && !notified
          ? { ...instance, ref: { ...instance.ref, pending: true } }
          : instance;
      decisions.push(decision(known, owed.has(instance.pendingName) || notified ? 'change' : 'nothing'));
    } else if (instance.task.options.when === false) {
      decisions.push(decision(instance, 'skip'));
    } else if (hasResource(instance)) {
      decisions.push(fromProbe(instance, instance.task.action.wanted, byId.get(instance.key)));
    } else {
      decisions.push(fromVerdict(instance));
    }
  }
  return decisions;
}

function decision(instance: TaskInstance, what: Decision['what'], failure?: TaskFailure, ms = 0): Decision {
  return { instance, what, found: undefined, differences: [], failure, ms };
}

function fromVerdict(instance: TaskInstance): Decision {
  const verdict = verdictOf(instance);
  if (verdict?.verdict !== 'refuse') return decision(instance, 'nothing');
  return decision(instance, 'fail', {
    what: `${verdict.what ?? verdict.id} (${verdict.evidence})${verdict.expected ? `; allowed: ${verdict.expected}` : ''}`,
    hint: verdict.hint,
    script: undefined,
    exitCode: undefined,
    stderr: '',
    stdout: '',
  });
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
  const fail = (what: string): TaskFailure => ({
    what,
    hint: undefined,
    script,
    exitCode: result?.exitCode,
    stderr: lastLines(result?.stderr),
    stdout: lastLines(result?.stdout),
  });
  if (!result || result.outcome === 'skipped') return fail('the host did not answer its probe');
  if (result.outcome === 'timed out') return fail(`its probe gave no answer within ${PROBE_TIMEOUT} s`);
  if (result.outcome === 'interrupted') return fail('stopped while its probe ran');
  if (result.exitCode !== 0) return fail(`its probe failed with exit code ${result.exitCode}`);
  try {
    return { found: parseState(result.stdout.toString()) };
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

/** How many lines of output a failure shows. */
const LAST_LINES = 20;

/** The end of an output, for a message: at most {@link LAST_LINES} lines, secrets masked. */
export function lastLines(output: Buffer | undefined): string {
  const text = mask(output?.toString() ?? '').trimEnd();
  return text.split('\n').slice(-LAST_LINES).join('\n');
}
