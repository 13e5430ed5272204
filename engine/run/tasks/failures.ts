/**
 * Why a task failed, as data: from what a step left behind, or from an exception of a role's or resource's own code.
 */
import type { TaskFailure } from '../../events.ts';
import type { StepResult } from '../../remote/session.ts';
import { CHANGE_TIMEOUT, type ChangeFailure, type Explanation, type Resource, UPLOAD_TIMEOUT } from '../../resource.ts';
import { roleProblems } from '../../role-problems.ts';
import type { Script } from '../../script.ts';
import { mask } from '../../secret.ts';
import type { Difference } from '../../state.ts';
import type { TaskInstance } from './task-instances.ts';

/** A failure with nothing known but what is given. */
export function failure(what: string, more: Partial<TaskFailure> = {}): TaskFailure {
  return { what, hint: undefined, script: undefined, exitCode: undefined, stderr: '', stdout: '', ...more };
}

/**
 * Calls code of a role or resource.
 * @returns its value, or the failure of the task that the exception stands for.
 */
export function callResource<T>(
  { ref, task }: TaskInstance,
  name: string,
  call: () => T,
): { readonly value: T } | { readonly failure: TaskFailure } {
  try {
    return { value: call() };
  } catch (error) {
    return { failure: callbackFailure(error, `${name} of ${task.action.kind} ${task.action.id}`, ref.role) };
  }
}

/** Thrown where code of a resource failed so late that its segment can't be run. */
export class CallbackError extends Error {
  readonly instance: TaskInstance;
  readonly failure: TaskFailure;

  constructor(instance: TaskInstance, failed: TaskFailure) {
    super(failed.what);
    this.instance = instance;
    this.failure = failed;
  }
}

/** The failure that an exception of a callback stands for. @param callback Which one: `change of file /etc/motd`. */
export function callbackFailure(error: unknown, callback: string, role: string): TaskFailure {
  const problems = roleProblems(error, role);
  return failure(`${callback}: ${problems.map(({ what }) => what).join('; ')}`, {
    hint: problems.find(({ hint }) => hint !== undefined)?.hint,
  });
}

/**
 * A change that failed.
 * @param script What ran. Undefined: an upload for the change failed.
 */
export function changeFailure(instance: TaskInstance, change: StepResult, script: Script | undefined): TaskFailure {
  const resource = instance.task.action as Resource;
  const how = {
    ran: `exit code ${change.exitCode}`,
    'timed out': script
      ? `timed out after ${resource.timeout ?? CHANGE_TIMEOUT} s`
      : `the upload was aborted: no progress for ${UPLOAD_TIMEOUT} s`,
    interrupted: 'interrupted',
    skipped: 'not run',
  }[change.outcome];
  const explained = change.outcome === 'ran' ? explain(instance, resource, change) : undefined;
  return {
    what: explained?.what ?? how,
    hint: explained?.hint,
    script: script?.shown,
    exitCode: change.exitCode,
    stderr: lastLines(change.stderr),
    stdout: lastLines(change.stdout),
  };
}

/** A change that succeeded by its exit code, and whose probe then found another state than the wanted one. */
export function stillDiffers(script: Script, change: StepResult, still: readonly Difference[]): TaskFailure {
  const list = still.map(({ key, found, wanted }) => `${key} is ${found ?? 'not there'}, wanted ${wanted}`).join('; ');
  return failure(`the change did not take: ${list}`, {
    hint: 'see whether something on the host reverts it: another tool, a timer, a package hook',
    script: script.shown,
    exitCode: change.exitCode,
    stderr: lastLines(change.stderr),
    stdout: lastLines(change.stdout),
  });
}

/** A health check of a lock that failed. */
export function healthCheckFailure(
  instance: TaskInstance,
  what: string,
  check: Resource | undefined,
  script: Script | undefined,
  result: StepResult,
): TaskFailure {
  const explained = check && explain(instance, check, result);
  return {
    what: explained ? `${what}: ${explained.what}` : what,
    hint: explained?.hint,
    script: script?.shown,
    exitCode: result.exitCode,
    stderr: lastLines(result.stderr),
    stdout: lastLines(result.stdout),
  };
}

function explain(instance: TaskInstance, resource: Resource, result: StepResult): Explanation | undefined {
  const output: ChangeFailure = {
    exitCode: result.exitCode,
    stdout: result.stdout.toString(),
    stderr: result.stderr.toString(),
  };
  const called = callResource(instance, 'explain', () => resource.explain?.(output));
  if ('value' in called) return called.value;
  const { what, hint } = called.failure;
  return { what: `exit code ${result.exitCode}; ${what}`, hint };
}

/** How many lines of output a failure shows. */
const LAST_LINES = 20;

/** The end of an output, for a message: at most {@link LAST_LINES} lines, secrets masked. */
export function lastLines(output: Buffer | undefined): string {
  const text = mask(output?.toString() ?? '').trimEnd();
  return text.split('\n').slice(-LAST_LINES).join('\n');
}
