/**
 * The change phase, pure: from decisions to steps, and from the host's answers to outcomes. Every instance is guarded on the host
 * by its own probe: before (does it hold already?) and after (did the change take?).
 */
import type { TaskFailure, TaskStatus } from '../../events.ts';
import type { StepResult } from '../../remote/session.ts';
import {
  CHANGE_TIMEOUT,
  type PeerSource,
  PROBE_TIMEOUT,
  type Resource,
  UNCHANGED,
  UPLOAD_TIMEOUT,
  type Upload,
} from '../../resource.ts';
import { Script, sh } from '../../script.ts';
import { differences, holds, type State } from '../../state.ts';
import type { Disruption } from '../../task.ts';
import { type Decision, lastLines, readProbe } from './check-phase.ts';
import { isSuccess, MergedChanges, SUCCEEDED, wasMerged } from './merged-changes.ts';
import { clearOnSuccess, clearPending, isPending, withPendingMark } from './pending-handlers.ts';
import type { ProbeStep } from './shared-probes.ts';
import { hasResource, type ResourceInstance, type TaskInstance } from './task-instances.ts';

/** What may be sent before any of it has its place. */
const ROW_BYTES = 256e6;

/** Units that run as one script: on one host's session, disrupting one lock or none. */
export interface Segment {
  readonly target: string;
  readonly lock: string | undefined;
  readonly decisions: readonly Decision[];
}

/** What became of one instance. */
export interface Outcome {
  readonly instance: TaskInstance;
  readonly status: TaskStatus;
  readonly ms: number;
  readonly found: State | undefined;
  readonly failure: TaskFailure | undefined;
  /** Set when the change was made and its lock did not recover afterwards. */
  readonly unhealthyLock: string | undefined;
}

/**
 * The change phase of one host. Empty when nothing differs. From the first difference on, later instances are in it too although
 * their probes found nothing to do: an earlier change may have altered what they saw. A instance that gets something sent begins a
 * segment, as does a row of them, and one that must be confirmed over a new connection ends it.
 */
export function segmentsOf(decisions: readonly Decision[]): readonly Segment[] {
  const first = decisions.findIndex(({ what }) => what === 'change');
  if (first < 0) return [];
  const segments: { target: string; lock: string | undefined; decisions: Decision[] }[] = [];
  for (const decision of decisions.slice(first)) {
    if (!hasResource(decision.instance) || decision.what === 'skip' || decision.what === 'fail') continue;
    const { target, task } = decision.instance;
    const lock = task.options.disrupts?.lock;
    const last = segments.at(-1);
    if (last && last.target === target && last.lock === lock && mayFollow(decision, last.decisions)) {
      last.decisions.push(decision);
    } else segments.push({ target, lock, decisions: [decision] });
  }
  return segments;
}

function mayFollow(decision: Decision, before: readonly Decision[]): boolean {
  const { instance, what } = decision;
  if (!hasResource(instance)) return false;
  if (isSent(decision)) return isRow([...before, decision]);
  if (what === 'change' && instance.task.action.peerSource) return false;
  const previous = before.at(-1)?.instance;
  const confirmed = previous && hasResource(previous) && previous.task.action.confirm;
  return !confirmed || instance.task.action.confirm !== undefined;
}

/** May something travel ahead of its change? That is then made without another look. */
function isSent({ instance, what }: Decision): boolean {
  return what === 'change' && hasResource(instance) && instance.task.action.upload !== undefined;
}

/** May these be sent together? To a place each, none of them free to fail, and not more than a host has room for beside what they replace. */
function isRow(decisions: readonly Decision[]): boolean {
  const actions = decisions.flatMap(({ instance }) => (hasResource(instance) ? instance.task.action : []));
  return (
    decisions.every((decision) => isSent(decision) && !decision.instance.task.options.ignoreErrors) &&
    new Set(actions.map(({ id }) => id)).size === decisions.length &&
    actions.reduce((sum, { uploadSize = 0 }) => sum + uploadSize, 0) <= ROW_BYTES
  );
}

/** Something to be uploaded, and for whose change. */
export interface PendingUpload {
  readonly decision: Decision;
  readonly upload: Upload;
}

/** What is to be uploaded before a segment, in its order. Reads what of it is on this machine. */
export function pendingUploads({ decisions }: Segment): readonly PendingUpload[] {
  return decisions.filter(isSent).flatMap((decision) => {
    const { instance, found } = decision;
    const upload = hasResource(instance) ? instance.task.action.upload?.(found ?? {}) : undefined;
    return upload ? [{ decision, upload }] : [];
  });
}

/** What its first instance may get from another host, where the change is to fetch it. Nobody waits for that with a mutex. */
export function peerSourceOf({ lock, decisions: [first] }: Segment): PeerSource | undefined {
  return first?.what === 'change' && hasResource(first.instance) && lock === undefined
    ? first.instance.task.action.peerSource
    : undefined;
}

/**
 * Has a segment anything to do, now that the segments before it are done? A disruptive one whose handlers nobody notified
 * is left out, so that no host waits for another's restart in vain.
 */
export function isNeeded(segment: Segment, notified: ReadonlySet<string>): boolean {
  return segment.decisions.some(
    ({ instance, what }) =>
      instance.pendingName === undefined || what === 'change' || notified.has(instance.pendingName),
  );
}

interface Change {
  readonly script: Script;
  /** Seconds it may take. */
  readonly timeout: number;
  /** Did the check find that it is to be made, and does nobody else make it? */
  readonly isExpected: boolean;
  /** Is it to be made without another look, as {@link isSent} says? */
  readonly isSent: boolean;
}

function unitSteps(instance: ResourceInstance, { script, timeout, isExpected, isSent }: Change): ProbeStep[] {
  const { key, task } = instance;
  const resource = task.action;
  const { disrupts, ignoreErrors } = task.options;
  const failed = (step: string): Script => Script.raw(`case $hw_rc_${key}_${step} in ''|${SUCCEEDED}) false ;; esac`);
  const passed = (...steps: string[]): Script =>
    Script.raw(steps.map((step) => `case $hw_rc_${key}_${step} in ${SUCCEEDED}) ;; *) false ;; esac`).join(' && '));
  const stop = (condition: Script): { stopIf: Script } | undefined =>
    ignoreErrors ? undefined : { stopIf: condition };
  const gate = (name: 'gate_before' | 'gate_after', wait: Resource, onlyIf: Script): ProbeStep => ({
    id: `${key}.${name}`,
    script: wait.change({}),
    timeout: wait.timeout ?? CHANGE_TIMEOUT,
    onlyIf,
    stopIf: failed(name),
    mayChange: true,
  });

  // A handler runs when it is owed, whatever its probe says; a task when its probe differs from what is wanted.
  const due =
    instance.pendingName !== undefined ? isPending(instance.pendingName) : isSent ? sh`:` : sh`[ "$hw_differs" = 1 ]`;
  const steps: ProbeStep[] = [];
  if (instance.pendingName === undefined && !isSent) {
    steps.push({
      id: `${key}.before`,
      script: resource.probe,
      timeout: PROBE_TIMEOUT,
      capture: true,
      sharedProbe: isExpected ? undefined : resource.sharedProbe,
      stopIf: sh`{ ${failed('before')} || { ${holds(resource.wanted)} && hw_differs=0 || hw_differs=1; false; }; }`,
    });
  }
  if (disrupts?.before) steps.push(gate('gate_before', disrupts.before, due));
  const mayChange = disrupts?.before ? sh`${due} && ${passed('gate_before')}` : due;
  steps.push({
    id: `${key}.change`,
    script: noted(instance, script),
    timeout,
    onlyIf: mayChange,
    mayChange: true,
    willChange: isExpected,
    ...stop(failed('change')),
  });
  const done = ['change'];
  if (resource.verify !== 'exit code') {
    steps.push({
      id: `${key}.after`,
      script: resource.probe,
      timeout: PROBE_TIMEOUT,
      capture: true,
      onlyIf: passed('change'),
      ...stop(sh`[ -n "$hw_rc_${Script.raw(key)}_after" ] && ! { ${passed('after')} && ${holds(resource.wanted)}; }`),
    });
    done.push('after');
  }
  if (disrupts?.after) {
    steps.push(gate('gate_after', disrupts.after, passed(...done)));
    done.push('gate_after');
  }
  if (instance.pendingName !== undefined && resource.verify !== 'exit code') {
    steps.push({
      id: `${key}.paid`,
      script: clearPending(instance.pendingName),
      timeout: PROBE_TIMEOUT,
      onlyIf: passed(...done),
    });
  }
  return steps;
}

/** A change with the notes of handlers that it owes, or that it is. */
function noted({ task, notifies, pendingName }: ResourceInstance, change: Script): Script {
  if (pendingName !== undefined && task.action.verify === 'exit code') return clearOnSuccess(pendingName, change);
  return notifies.length > 0 ? withPendingMark(notifies, change) : change;
}

/** A segment as a script, and what the answers to it mean, as they come: an outcome is known with the answer to its last step. */
export class SegmentScript {
  readonly steps: readonly ProbeStep[];
  readonly #together: MergedChanges;
  readonly #byLastStep = new Map<string, Decision>();
  readonly #results = new Map<string, StepResult>();
  #stopped = false;

  constructor({ decisions }: Segment) {
    this.#together = new MergedChanges(decisions);
    this.steps = decisions.flatMap((decision) => {
      const steps = this.#stepsOf(decision);
      this.#byLastStep.set(steps.at(-1)?.id ?? '', decision);
      return steps;
    });
  }

  #stepsOf(decision: Decision): readonly ProbeStep[] {
    const { instance, what } = decision;
    if (!hasResource(instance)) return [];
    const seconds = this.#together
      .membersOf(decision)
      .map((each) => (hasResource(each.instance) ? each.instance.task.action.timeout : undefined) ?? CHANGE_TIMEOUT);
    return unitSteps(instance, {
      script: this.#together.changeOf(decision),
      timeout: seconds.reduce((sum, each) => sum + each),
      isExpected: what === 'change' && this.#together.leaderOf(decision) === undefined,
      isSent: isSent(decision),
    });
  }

  /** Takes the next answer; the outcome that it completes, if any. Handlers that were not due have none. */
  read(result: StepResult): Outcome | undefined {
    this.#results.set(result.id, result);
    const decision = this.#byLastStep.get(result.id);
    const instance = decision?.instance;
    if (!decision || !instance || !hasResource(instance)) return undefined;
    const { ran, ...outcome } = outcomeOf(
      instance,
      decision,
      () => this.#together.changeOf(decision),
      (step) => {
        const answer = this.#results.get(`${instance.key}.${step}`);
        return answer?.outcome === 'skipped' ? undefined : answer;
      },
    );
    if (instance.pendingName !== undefined && !ran && decision.what !== 'change') return undefined;
    // Made by another's change; the run then stopped before it was looked at. The next run looks.
    if (!ran && this.#wasCarried(decision)) return { ...outcome, status: 'changed', failure: undefined };
    if (this.#stopped && !ran) return { ...outcome, status: 'not run', failure: undefined };
    if (outcome.status === 'failed') this.#stopped = true;
    // What it found to hold by now was changed with another.
    if (outcome.status === 'ok' && this.#wasCarried(decision)) return { ...outcome, status: 'changed' };
    return outcome;
  }

  #wasCarried(decision: Decision): boolean {
    const carrier = this.#together.leaderOf(decision);
    const change = carrier && this.#results.get(`${carrier.instance.key}.change`);
    return change !== undefined && change.outcome === 'ran' && wasMerged(change.exitCode);
  }
}

function outcomeOf(
  instance: ResourceInstance,
  decision: Decision,
  script: () => Script,
  ran: (step: string) => StepResult | undefined,
): Outcome & { readonly ran: boolean } {
  const resource = instance.task.action;
  const { disrupts } = instance.task.options;
  const [before, gateBefore, change, after, gateAfter] = ['before', 'gate_before', 'change', 'after', 'gate_after'].map(
    ran,
  );
  const took = [before, gateBefore, change, after, gateAfter].reduce((sum, step) => sum + (step?.duration ?? 0), 0);
  const outcome = (
    status: TaskStatus,
    failure?: TaskFailure,
    unhealthyLock?: string,
  ): Outcome & { readonly ran: boolean } => ({
    instance,
    status: status === 'failed' && instance.task.options.ignoreErrors ? 'ignored' : status,
    ms: Math.round(took * 1000),
    found: decision.found,
    failure,
    unhealthyLock,
    ran: Boolean(before ?? gateBefore ?? change),
  });

  if (before && (before.outcome !== 'ran' || before.exitCode !== 0)) {
    const read = readProbe(before, resource.probe.shown);
    if ('what' in read) return outcome('failed', read);
  }
  if (gateBefore && !succeeded(gateBefore)) {
    return outcome(
      'failed',
      gateFailure(`not done: ${disrupts?.lock} cannot bear it now`, disrupts?.before, gateBefore),
    );
  }
  if (!change) return outcome(before && instance.pendingName === undefined ? 'ok' : 'not run');
  if (!succeeded(change)) return outcome('failed', changeFailure(resource, change, script()));
  // Not looked at again where the user stopped the run right behind the change; the next run looks.
  if (resource.verify !== 'exit code' && after) {
    const read = readProbe(after, resource.probe.shown);
    if ('what' in read) return outcome('failed', { ...read, what: `changed, but ${read.what}` });
    const still = differences(read.found, resource.wanted);
    if (still.length > 0) return outcome('failed', notTaken(script(), change, still));
  }
  if (gateAfter && !succeeded(gateAfter)) {
    const failure = gateFailure(`changed, but ${disrupts?.lock} did not recover`, disrupts?.after, gateAfter);
    return outcome('failed', failure, disrupts?.lock);
  }
  return outcome(resource.readOnly || change.exitCode === UNCHANGED ? 'ok' : 'changed');
}

const succeeded = (result: StepResult): boolean => result.outcome === 'ran' && isSuccess(result.exitCode);

/** A change that must be confirmed over a new connection, and was not: what its outcome becomes. */
export function unconfirmed(outcome: Outcome, why: string): Outcome {
  const { instance } = outcome;
  const within = hasResource(instance) ? instance.task.action.confirm?.within : undefined;
  const failure: TaskFailure = {
    what: `changed, but ${why}; the host takes the change back by itself within ${within} s`,
    hint: 'see that a rule lets SSH in from this computer, then run again',
    script: hasResource(instance) ? instance.task.action.change(outcome.found ?? {}).shown : undefined,
    exitCode: undefined,
    stderr: '',
    stdout: '',
  };
  return { ...outcome, status: 'failed', failure };
}

/** An upload that was not taken: what becomes of its instance. */
export function uploadFailed({ instance, found }: Decision, result: StepResult): Outcome {
  if (!hasResource(instance)) throw new TypeError('a instance without a resource uploads nothing');
  const failure = changeFailure(instance.task.action, result, undefined);
  const status = instance.task.options.ignoreErrors ? 'ignored' : 'failed';
  return { instance, status, ms: Math.round(result.duration * 1000), found, failure, unhealthyLock: undefined };
}

/** @param script What ran; undefined: what was sent before it was not taken. */
function changeFailure(resource: Resource, change: StepResult, script: Script | undefined): TaskFailure {
  const stdout = change.stdout.toString();
  const stderr = change.stderr.toString();
  const explained =
    change.outcome === 'ran' ? resource.explain?.({ exitCode: change.exitCode, stdout, stderr }) : undefined;
  const how = {
    ran: `exit code ${change.exitCode}`,
    'timed out': script
      ? `not done within ${resource.timeout ?? CHANGE_TIMEOUT} s, and stopped`
      : `made no headway for ${UPLOAD_TIMEOUT} s, and was given up`,
    interrupted: 'stopped by you',
    skipped: 'not run',
  }[change.outcome];
  return {
    what: explained?.what ?? how,
    hint: explained?.hint,
    script: script?.shown,
    exitCode: change.exitCode,
    stderr: lastLines(change.stderr),
    stdout: lastLines(change.stdout),
  };
}

function notTaken(
  script: Script,
  change: StepResult,
  still: readonly { key: string; found: string | undefined; wanted: string }[],
): TaskFailure {
  const list = still.map(({ key, found, wanted }) => `${key} is ${found ?? 'not there'}, wanted ${wanted}`).join('; ');
  return {
    what: `the change did not take: ${list}`,
    hint: 'see whether something on the host puts it back: another tool, a timer, a package hook',
    script: script.shown,
    exitCode: change.exitCode,
    stderr: lastLines(change.stderr),
    stdout: lastLines(change.stdout),
  };
}

function gateFailure(what: string, gate: Disruption['before'], result: StepResult): TaskFailure {
  const explained = gate?.explain?.({
    exitCode: result.exitCode,
    stdout: result.stdout.toString(),
    stderr: result.stderr.toString(),
  });
  return {
    what: explained ? `${what}: ${explained.what}` : what,
    hint: explained?.hint,
    script: gate?.change({}).shown,
    exitCode: result.exitCode,
    stderr: lastLines(result.stderr),
    stdout: lastLines(result.stdout),
  };
}
