/** Which plays run on which hosts, known before a host is connected to. */
import { type Position, UserError } from '../../errors.ts';
import type { Inventory, InventoryHost } from '../../inventory/inventory.ts';
import { type Play, playProblems } from '../../play.ts';
import type { RunOptions } from './run-options.ts';
import { checkTags, inheritedTags } from './tags.ts';

/** One play of a run, with the hosts it is for. */
export interface PlayRun {
  readonly play: Play;
  /** In inventory order, after `--limit`. */
  readonly hosts: readonly InventoryHost[];
}

/** Do a play's sessions run as root? */
export const becomesRoot = ({ become = true }: Play): boolean => become;

/**
 * The plays with their hosts. A play whose hosts `--limit` leaves out, or whose group is empty, stays, without hosts.
 * @throws UserError on
 *   - a keyword of a play that is unknown or has a wrong value,
 *   - a pattern that names what the inventory lacks,
 *   - a tag that nothing has,
 *   - plays without any host.
 */
export function selectPlays(
  options: Pick<RunOptions, 'playbook' | 'inventory' | 'limit' | 'tags'>,
): readonly PlayRun[] {
  const { playbook, inventory, limit } = options;
  const problems = playbook.plays.flatMap(playProblems);
  if (problems.length > 0) throw new UserError(problems);
  checkTags(tagsOf(playbook.plays), options.tags);
  const groups = [...inventory.groups.keys()].join(', ');
  const limited = limit === undefined ? undefined : new Set(selectFor(inventory, limit, `--limit ${limit}`));
  if (limited?.size === 0) {
    throw new UserError({
      what: `--limit ${limit} matches no host`,
      expected: `a pattern over the hosts and the groups ${groups}`,
      hint: '--list-hosts without --limit shows the hosts of each play',
    });
  }
  const plays = playbook.plays.map((play) => ({
    play,
    hosts: hostsOf(play, inventory).filter((host) => limited?.has(host) ?? true),
  }));
  if (plays.every(({ hosts }) => hosts.length === 0)) {
    const patterns = [...new Set(plays.map(({ play }) => play.hosts))].join('; ');
    throw new UserError({
      what: `no play has a host${limit === undefined ? '' : ` with --limit ${limit}`}: they are for ${patterns}`,
      at: limit === undefined ? playbook.plays[0]?.at : undefined,
      expected: `at least one host in them; the groups of ${inventory.files.join(', ') || 'the inventory'}: ${groups}`,
    });
  }
  return plays;
}

function hostsOf(play: Play, inventory: Inventory): readonly InventoryHost[] {
  try {
    return selectFor(inventory, play.hosts, `play "${play.name}"`, () => play.at);
  } catch (error) {
    if (play.optional && error instanceof UserError) return [];
    throw error;
  }
}

/** Selects hosts, saying on whose behalf where the pattern is wrong. */
function selectFor(
  inventory: Inventory,
  pattern: string,
  whose: string,
  place?: () => Position | undefined,
): readonly InventoryHost[] {
  try {
    return inventory.select(pattern);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const at = place?.();
    throw new UserError(error.problems.map((problem) => ({ at, ...problem, what: `${whose}: ${problem.what}` })));
  }
}

/** Every tag that `--tags` could name. */
function tagsOf(plays: readonly Play[]): ReadonlySet<string> {
  return new Set(
    plays.flatMap((play) => play.roles.flatMap((call) => [...inheritedTags(play, call), ...call.role.tags])),
  );
}
