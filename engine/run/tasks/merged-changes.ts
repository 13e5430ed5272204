/**
 * Changes that follow one another and are made as one: the first of them carries those behind it, which then find that they
 * hold. Where that can't be done, each is made alone, and fails for itself. Pure.
 */
import { type MergeableChange, UNCHANGED } from '../../resource.ts';
import { type Script, sh } from '../../script.ts';
import type { Decision } from './check-phase.ts';
import { hasResource } from './task-instances.ts';

/** The exit code of a change that was to be made together with others and was made alone. */
const ALONE = 214;

/** Exit codes by which a change says that it succeeded, as a pattern for the host's `case`. */
export const SUCCEEDED = `0|${UNCHANGED}|${ALONE}`;

/** Does a change's exit code say that it succeeded? */
export const isSuccess = (exitCode: number): boolean => [0, UNCHANGED, ALONE].includes(exitCode);

/** Did a carrier's change, by its exit code, make those that it carries too? */
export const wasMerged = (exitCode: number): boolean => exitCode === 0;

interface MergeMember {
  readonly joint: MergeableChange | undefined;
  /** Undefined: it carries others, or is alone. */
  readonly carrier: Decision | undefined;
  readonly carried: Decision[];
}

/** Which of a segment's changes are made together. */
export class MergedChanges {
  readonly #members = new Map<Decision, MergeMember>();

  constructor(decisions: readonly Decision[]) {
    let carrier: { decision: Decision; key: string; member: MergeMember } | undefined;
    for (const decision of decisions) {
      const joint = mergeableOf(decision);
      // The first of them notes as owed what all of them notify.
      const key = joint && [joint.key, ...decision.instance.notifies].join(' ');
      const isCarried = carrier !== undefined && carrier.key === key;
      const member: MergeMember = { joint, carrier: isCarried ? carrier?.decision : undefined, carried: [] };
      this.#members.set(decision, member);
      if (isCarried) carrier?.member.carried.push(decision);
      else carrier = key === undefined ? undefined : { decision, key, member };
    }
  }

  /** The decision whose change makes that of this one too. */
  leaderOf(decision: Decision): Decision | undefined {
    return this.#members.get(decision)?.carrier;
  }

  /** The decisions that a change is for: its own, and those that it carries. */
  membersOf(decision: Decision): readonly Decision[] {
    return [decision, ...(this.#members.get(decision)?.carried ?? [])];
  }

  /** A decision's change, with those that it carries. */
  changeOf(decision: Decision): Script {
    const { instance, found } = decision;
    const alone = hasResource(instance) ? instance.task.action.change(found ?? {}) : sh``;
    const member = this.#members.get(decision);
    if (!member?.joint || member.carried.length === 0) return alone;
    const parts = this.membersOf(decision).map((each) => this.#members.get(each)?.joint?.part);
    // What goes wrong is said by the one that it goes wrong with, made alone.
    return sh`(
${member.joint.change(parts)}
) 2>/dev/null || {
(
${alone}
)
hw_rc=$?
[ $hw_rc != 0 ] || exit ${ALONE}
exit $hw_rc
}`;
  }
}

/** How a change is made together with others, where nothing depends on its being made alone. */
function mergeableOf({ instance, what, found }: Decision): MergeableChange | undefined {
  if (what !== 'change' || !hasResource(instance) || instance.pendingName !== undefined) return undefined;
  const { disrupts, ignoreErrors } = instance.task.options;
  return disrupts || ignoreErrors ? undefined : instance.task.action.mergeable?.(found ?? {});
}
