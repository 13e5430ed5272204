/** Which tasks `--tags` and `--skip-tags` select. The words `all`, `tagged`, `untagged`, `always`, `never` are Ansible's. */

/** What the command line asked for. Empty `tags` means all. */
export interface TagSelection {
  readonly tags: readonly string[];
  readonly skipTags: readonly string[];
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
  const wanted = (all && !tags.includes('never')) || names(selection.tags) || tags.includes('always');
  if (!wanted) return false;
  if (tags.includes('always') && !selection.skipTags.includes('always')) {
    // --skip-tags all leaves out everything but `always`, as in Ansible.
    return !names(selection.skipTags);
  }
  return !names(selection.skipTags) && !selection.skipTags.includes('all');
}

/**
 * Could any task of a role be selected, given the tags every task of it has and those some may have? Where not, the role's
 * hosts need not be asked anything.
 */
export function mayBeSelected(
  inherited: readonly string[],
  declared: readonly string[],
  selection: TagSelection,
): boolean {
  return isSelected(inherited, selection) || declared.some((tag) => isSelected([...inherited, tag], selection));
}
