/**
 * The changes of a host, prepared: all code of resources that they need is called here, before anything is sent. So an
 * exception in it fails the task before anything has changed. Pure, but for what resources read of this machine.
 */
import { kindOf } from '../../errors.ts';
import type { MergeableChange, Resource, Upload } from '../../resource.ts';
import { Script } from '../../script.ts';
import { isMapping } from '../../validate-options.ts';
import type { Decision } from './check-phase.ts';
import { callResource } from './failures.ts';
import { hasResource, type ResourceInstance } from './task-instances.ts';

/** A health check of the lock that a task disrupts, and its script. */
export interface HealthCheck {
  readonly resource: Resource;
  readonly script: Script;
}

/** A decision about an instance whose change is known. */
export interface PreparedDecision extends Decision {
  readonly instance: ResourceInstance;
  readonly what: 'nothing' | 'change';
  readonly change: Script;
  readonly mergeable: MergeableChange | undefined;
  /** Content that is sent before the change. */
  readonly upload: Upload | undefined;
  readonly healthBefore: HealthCheck | undefined;
  readonly healthAfter: HealthCheck | undefined;
}

/** Is the change of a decision known? */
export function isPrepared(decision: Decision): decision is PreparedDecision {
  return 'change' in decision;
}

/**
 * Prepares the changes from the first difference on. Later instances are among them although their probes found nothing
 * to do: an earlier change may alter what they saw. Where code of a resource throws, its decision becomes a failed one.
 */
export function prepareChanges(decisions: readonly Decision[]): readonly Decision[] {
  const first = decisions.findIndex(({ what }) => what === 'change');
  return decisions.map((decision, i) => (first < 0 || i < first ? decision : prepared(decision)));
}

function prepared(decision: Decision): Decision | PreparedDecision {
  const { instance, what } = decision;
  if (!hasResource(instance) || (what !== 'change' && what !== 'nothing')) return decision;
  const { action, options } = instance.task;
  const found = decision.found ?? {};
  const isAlone = options.disrupts !== undefined || options.ignoreErrors === true || instance.pendingName !== undefined;
  const called = callResource(instance, 'change', (): PreparedDecision => {
    const isChange = what === 'change';
    return {
      ...decision,
      instance,
      what,
      change: scriptOf('change', action.change(found)),
      mergeable: isChange && !isAlone ? mergeableOf(action.mergeable?.(found)) : undefined,
      upload: isChange ? uploadOf(action.upload?.(found)) : undefined,
      healthBefore: healthCheck(options.disrupts?.before),
      healthAfter: healthCheck(options.disrupts?.after),
    };
  });
  return 'value' in called ? called.value : { ...decision, what: 'fail', failure: called.failure };
}

const healthCheck = (resource: Resource | undefined): HealthCheck | undefined =>
  resource && { resource, script: scriptOf('change', resource.change({})) };

/** What code of a resource returned, where it is a script. @throws TypeError where it is not. */
export function scriptOf(callback: string, returned: unknown): Script {
  if (returned instanceof Script) return returned;
  throw new TypeError(`${callback} is ${kindOf(returned)}, not a script: sh\`...\``);
}

function mergeableOf(returned: MergeableChange | undefined): MergeableChange | undefined {
  if (returned === undefined || (isMapping(returned) && typeof returned.key === 'string')) return returned;
  throw new TypeError(`mergeable is ${kindOf(returned)}, not { key, part, change }`);
}

function uploadOf(returned: Upload | undefined): Upload | undefined {
  if (returned === undefined) return undefined;
  if (!isMapping(returned) || typeof returned.content !== 'function')
    throw new TypeError(`upload is ${kindOf(returned)}, not { script, content() }`);
  scriptOf('script of the upload', returned.script);
  return returned;
}
