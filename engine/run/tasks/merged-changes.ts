/**
 * Merged changes: changes that follow one another and are made as one. The first of them, the leader, makes those of
 * all its members, which then find nothing to do. Where that fails, each is made alone and says itself what is wrong.
 * Pure.
 */
import { UNCHANGED } from '../../resource.ts';
import { type Script, sh } from '../../script.ts';
import { CallbackError, callResource } from './failures.ts';
import { type PreparedDecision, scriptOf } from './prepare-changes.ts';

/** The exit code of a leader's change that was made alone, since the merged one failed. */
const ALONE = 214;

/** Exit codes by which a change says that it succeeded, as a pattern for the host's `case`. */
export const SUCCEEDED = `0|${UNCHANGED}|${ALONE}`;

/** Does a change's exit code say that it succeeded? */
export const isSuccess = (exitCode: number): boolean => [0, UNCHANGED, ALONE].includes(exitCode);

/** Did a leader's change, by its exit code, make those of its members too? */
export const wasMerged = (exitCode: number): boolean => exitCode === 0;

interface Group {
  readonly key: string;
  /** The leader first. */
  readonly members: PreparedDecision[];
}

/** Which changes of a segment are merged. */
export class MergedChanges {
  readonly #groups = new Map<PreparedDecision, Group>();

  constructor(decisions: readonly PreparedDecision[]) {
    let last: Group | undefined;
    for (const decision of decisions) {
      const { mergeable, instance } = decision;
      // The leader marks as pending what all of them notify.
      const key = mergeable && [mergeable.key, ...instance.notifies.map(({ name }) => name)].join(' ');
      if (key === undefined) {
        last = undefined;
        continue;
      }
      if (last?.key === key) last.members.push(decision);
      else last = { key, members: [decision] };
      this.#groups.set(decision, last);
    }
  }

  /**
   * The decision whose change makes that of this one too; undefined for a leader, and for a change that is made alone.
   */
  leaderOf(decision: PreparedDecision): PreparedDecision | undefined {
    const leader = this.#groups.get(decision)?.members[0];
    return leader === decision ? undefined : leader;
  }

  /** The decisions whose changes a change makes: its own, and of a leader those of its members. */
  membersOf(decision: PreparedDecision): readonly PreparedDecision[] {
    const members = this.#groups.get(decision)?.members ?? [];
    return members[0] === decision ? members : [decision];
  }

  /** A decision's change; of a leader the merged one. @throws CallbackError where the resource can't merge them. */
  changeOf(decision: PreparedDecision): Script {
    const { mergeable, change } = decision;
    const members = this.membersOf(decision);
    if (!mergeable || members.length < 2) return change;
    const parts = members.map((member) => member.mergeable?.part);
    const merged = callResource(decision.instance, 'mergeable.change', () => scriptOf('it', mergeable.change(parts)));
    if ('failure' in merged) throw new CallbackError(decision.instance, merged.failure);
    // Output of the merged change is dropped: what is wrong is said by the change that it is wrong with, made alone.
    return sh`(
${merged.value}
) 2>/dev/null || {
(
${change}
)
hw_rc=$?
[ $hw_rc != 0 ] || exit ${ALONE}
exit $hw_rc
}`;
  }
}
