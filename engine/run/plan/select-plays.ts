/** What a run is about, as far as it is known before a host is touched: which hosts, with which variables, reached how. */
import { type Position, type Problem, UserError } from '../../errors.ts';
import type { Inventory, InventoryHost } from '../../inventory/inventory.ts';
import { type Play, playProblems } from '../../play.ts';
import type { RoleCall } from '../../role.ts';
import type { PlayRun, RunContext } from '../context.ts';
import type { RunOptions } from '../run-options.ts';
import { inheritedTags, selectedCalls } from '../tasks/task-instances.ts';
import { checkTags } from './tags.ts';

/**
 * The plays with their hosts. A play whose hosts `--limit` leaves out, or whose group is empty, stays, without hosts.
 * @throws UserError on a play's wrong numbers, when a pattern names what the inventory has not, when no play has any host, on a tag that nothing has.
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

/**
 * Every role's variables for every host of its play.
 * @throws UserError with every problem of every host at once.
 */
export function resolveAll(
  options: Pick<RunOptions, 'resolveVars' | 'tags'>,
  plays: readonly PlayRun[],
): RunContext['vars'] {
  const vars = new Map<RoleCall, Map<string, Readonly<Record<string, unknown>>>>();
  const problems = new Map<string, Problem>();
  for (const { play, hosts } of plays) {
    for (const call of selectedCalls(play, options.tags)) {
      const ofHosts = vars.get(call) ?? new Map<string, Readonly<Record<string, unknown>>>();
      vars.set(call, ofHosts);
      for (const host of hosts) {
        const resolved = options.resolveVars(host, call, play);
        if (resolved.ok) ofHosts.set(host.name, resolved.vars);
        else for (const problem of resolved.problems) problems.set(JSON.stringify({ ...problem, host: '' }), problem);
      }
    }
  }
  if (problems.size > 0) throw new UserError([...problems.values()].sort(byPlace));
  return vars;
}

/**
 * Sees that every host's connection variables make sense, before any connection is opened.
 * @throws UserError where they don't.
 */
export function checkConnections({ connect }: Pick<RunOptions, 'connect'>, plays: readonly PlayRun[]): void {
  const problems = new Map<string, Problem>();
  for (const { play, hosts } of plays) {
    for (const host of hosts) {
      try {
        connect(host, play.become ?? true);
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        for (const problem of error.problems) problems.set(JSON.stringify(problem), problem);
      }
    }
  }
  if (problems.size > 0) throw new UserError([...problems.values()].sort(byPlace));
}

/** In the order of the files; what has no place comes last. */
function byPlace({ at: a }: Problem, { at: b }: Problem): number {
  if (!a || !b) return Number(!a) - Number(!b);
  return a.file === b.file ? a.line - b.line || a.column - b.column : a.file < b.file ? -1 : 1;
}
