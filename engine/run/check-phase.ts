/** The check phase, pure: every unit's probe as one batch, and what the answers decide. */
import type { TaskFailure } from '../events.ts';
import type { StepResult } from '../remote/session.ts';
import { PROBE_TIMEOUT } from '../resource.ts';
import { mask } from '../secret.ts';
import { type Difference, differences, parseState, type State } from '../state.ts';
import { listPending } from './pending-handlers.ts';
import type { ProbeStep } from './shared-probes.ts';
import { hasResource, type TaskInstance, verdictOf } from './task-instances.ts';

/** What is to be done about a unit. */
export interface Decision {
  readonly unit: TaskInstance;
  readonly what: 'nothing' | 'change' | 'skip' | 'fail';
  /** What the probe printed; undefined for verdicts, skipped units and handlers, whose probe is not asked. */
  readonly found: State | undefined;
  readonly differences: readonly Difference[];
  readonly failure: TaskFailure | undefined;
  /** Milliseconds that its probe took on the host; none for what has no probe. */
  readonly ms: number;
}

const OWED = 'owed';

/** The probes of the units that look at `target`: one script. With handlers, also what is owed from a run that was cut. */
export function probeSteps(units: readonly TaskInstance[], target: string): readonly ProbeStep[] {
  const here = units.filter((unit) => unit.target === target);
  const probes = here
    .filter(hasResource)
    .filter((unit) => unit.pendingName === undefined && unit.task.options.when !== false)
    .map(({ key, task: { action } }): ProbeStep => {
      return { id: key, script: action.probe, timeout: PROBE_TIMEOUT, capture: true, sharedProbe: action.sharedProbe };
    });
  const handlers = here.some((unit) => unit.pendingName !== undefined);
  return handlers ? [...probes, { id: OWED, script: listPending, timeout: PROBE_TIMEOUT, capture: true }] : probes;
}

/** Reads the answers. `results` holds those of every target; the outcome is in the order of `units`. */
export function decide(units: readonly TaskInstance[], results: readonly StepResult[]): readonly Decision[] {
  const byId = new Map(results.map((result) => [result.id, result]));
  const owed = new Set(byId.get(OWED)?.stdout.toString().split('\n'));
  const decisions: Decision[] = [];
  for (const unit of units) {
    if (unit.pendingName !== undefined) {
      const notified = decisions.some(
        ({ what, unit: other }) => what === 'change' && other.notifies.includes(unit.pendingName ?? ''),
      );
      const known: TaskInstance =
        owed.has(unit.pendingName) && !notified ? { ...unit, ref: { ...unit.ref, pending: true } } : unit;
      decisions.push(decision(known, owed.has(unit.pendingName) || notified ? 'change' : 'nothing'));
    } else if (unit.task.options.when === false) {
      decisions.push(decision(unit, 'skip'));
    } else if (hasResource(unit)) {
      decisions.push(fromProbe(unit, unit.task.action.wanted, byId.get(unit.key)));
    } else {
      decisions.push(fromVerdict(unit));
    }
  }
  return decisions;
}

function decision(unit: TaskInstance, what: Decision['what'], failure?: TaskFailure, ms = 0): Decision {
  return { unit, what, found: undefined, differences: [], failure, ms };
}

function fromVerdict(unit: TaskInstance): Decision {
  const verdict = verdictOf(unit);
  if (verdict?.verdict !== 'refuse') return decision(unit, 'nothing');
  return decision(unit, 'fail', {
    what: `${verdict.what ?? verdict.id} (${verdict.evidence})${verdict.expected ? `; allowed: ${verdict.expected}` : ''}`,
    hint: verdict.hint,
    script: undefined,
    exitCode: undefined,
    stderr: '',
    stdout: '',
  });
}

function fromProbe(unit: TaskInstance, wanted: State, result: StepResult | undefined): Decision {
  const script = hasResource(unit) ? unit.task.action.probe.shown : undefined;
  const read = readProbe(result, script);
  const ms = Math.round((result?.duration ?? 0) * 1000);
  if ('what' in read) return decision(unit, 'fail', read, ms);
  const differing = differences(read.found, wanted);
  return {
    unit,
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
