/**
 * Which tasks `--tags` and `--skip-tags` select. The words `all`, `tagged`, `untagged`, `always`, `never` are
 * Ansible's.
 */

import { didYouMean, ExitCode, type Problem, UserError } from '../../errors.ts';
import type { Play } from '../../play.ts';
import type { RoleCall } from '../../role.ts';

/** What the command line asked for. Empty `tags` means all. */
export interface TagSelection {
  readonly tags: readonly string[];
  readonly skipTags: readonly string[];
}

const SPECIAL_TAGS = ['all', 'tagged', 'untagged', 'always', 'never'];

/**
 * Checks that every tag of a selection is one of `known`. An unknown one would select everything, or nothing.
 * @throws UserError (exit code 5) with what was probably meant.
 */
export function checkTags(known: ReadonlySet<string>, { tags, skipTags }: TagSelection): void {
  const problemsOf = (option: string, given: readonly string[]): Problem[] =>
    given
      .filter((tag) => !known.has(tag) && !SPECIAL_TAGS.includes(tag))
      .map((tag) => {
        const near = didYouMean(tag, known);
        return {
          what: `${option} ${tag}: nothing in this playbook has that tag`,
          expected: [...known].sort().join(', '),
          hint: near ? `did you mean "${near}"?` : '--list-tags lists them, play by play',
        };
      });
  const problems = [...problemsOf('--tags', tags), ...problemsOf('--skip-tags', skipTags)];
  if (problems.length > 0) throw new UserError(problems, ExitCode.usage);
}

/** Is a task with these tags (its own, its role's name, its role call's, its play's) selected? */
export function isSelected(tags: readonly string[], selection: TagSelection): boolean {
  const names = (list: readonly string[]) =>
    list.some(
      (word) =>
        tags.includes(word) ||
        (word === 'tagged' && tags.some((tag) => tag !== 'always' && tag !== 'never')) ||
        (word === 'untagged' && tags.length === 0),
    );
  const all = selection.tags.length === 0 || selection.tags.includes('all');
  // `never` is left out of what is asked for as a whole; only a tag of its own brings it in.
  const asked = tags.includes('never') ? selection.tags.filter((word) => word !== 'tagged') : selection.tags;
  const wanted = (all && !tags.includes('never')) || names(asked) || tags.includes('always');
  if (!wanted) return false;
  if (tags.includes('always') && !selection.skipTags.includes('always')) {
    // --skip-tags all leaves out everything but `always`, as in Ansible.
    return !names(selection.skipTags);
  }
  return !names(selection.skipTags) && !selection.skipTags.includes('all');
}

/**
 * Could any task of a role be selected, given the tags every task of it has and those some may have? Where not, the
 * role's hosts need not be asked anything.
 */
export function mayBeSelected(
  inherited: readonly string[],
  declared: readonly string[],
  selection: TagSelection,
): boolean {
  return isSelected(inherited, selection) || declared.some((tag) => isSelected([...inherited, tag], selection));
}

/** The tags that every task of a role call has: its play's, its role's name, the call's own. */
export function inheritedTags(play: Play, call: RoleCall): readonly string[] {
  return [...(play.tags ?? []), call.role.name, ...call.tags];
}

/** The role calls of a play that may have selected tasks. */
export function selectedCalls(play: Play, selection: TagSelection): readonly RoleCall[] {
  return play.roles.filter((call) => mayBeSelected(inheritedTags(play, call), call.role.tags, selection));
}
