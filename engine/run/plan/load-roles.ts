/** Loads the modules of the roles of a run, once it is clear that they run. */
import { UserError } from '../../errors.ts';
import type { Role, RoleBody } from '../../role.ts';
import { roleProblems } from '../../role-problems.ts';
import type { PlayRun } from './select-plays.ts';
import { selectedCalls, type TagSelection } from './tags.ts';

/** The checks and stages of each role. */
export type LoadedRoles = ReadonlyMap<Role, RoleBody>;

/**
 * Loads every role that may have something to do.
 * @throws UserError naming the role whose module can't be loaded, and where it is wrong.
 */
export async function loadRoles(plays: readonly PlayRun[], selection: TagSelection): Promise<LoadedRoles> {
  const calls = plays.flatMap(({ play, hosts }) => (hosts.length > 0 ? selectedCalls(play, selection) : []));
  const roles = [...new Set(calls.map(({ role }) => role))];
  const loaded = roles.map(async (role): Promise<readonly [Role, RoleBody]> => {
    try {
      return [role, await role.load()];
    } catch (error) {
      throw new UserError(roleProblems(error, role.name));
    }
  });
  return new Map(await Promise.all(loaded));
}
