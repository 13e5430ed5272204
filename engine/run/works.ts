/** What the roles of a run do: their modules, loaded once it is clear that they run. */
import { UserError } from '../errors.ts';
import type { Role, Work } from '../role.ts';
import { problemsOf } from '../role-error.ts';
import type { PlayRun } from './context.ts';
import type { TagSelection } from './tags.ts';
import { selectedCalls } from './units.ts';

/** By role: its checks and stages. */
export type Works = ReadonlyMap<Role, Work>;

/**
 * Loads every role that may have something to do.
 * @throws UserError naming the role whose module can't be loaded, and where it is wrong.
 */
export async function loadWorks(plays: readonly PlayRun[], selection: TagSelection): Promise<Works> {
  const calls = plays.flatMap(({ play, hosts }) => (hosts.length > 0 ? selectedCalls(play, selection) : []));
  const roles = [...new Set(calls.map(({ role }) => role))];
  const loaded = roles.map(async (role): Promise<readonly [Role, Work]> => {
    try {
      return [role, await role.work()];
    } catch (error) {
      throw new UserError(problemsOf(error, role.name));
    }
  });
  return new Map(await Promise.all(loaded));
}
