/** The variables and connections of a run, validated before any host is connected to. */
import { type Problem, UserError } from '../../errors.ts';
import type { Play } from '../../play.ts';
import type { RoleCall } from '../../role.ts';
import type { RunOptions } from './run-options.ts';
import { becomesRoot, type PlayRun } from './select-plays.ts';
import { selectedCalls } from './tags.ts';

type Vars = Readonly<Record<string, unknown>>;

/**
 * Validated variables by play, role call and host name. By play, since a call may stand in several plays, each with
 * variables of its own.
 */
export type RoleVars = ReadonlyMap<Play, ReadonlyMap<RoleCall, ReadonlyMap<string, Vars>>>;

/**
 * Resolves every role's variables for every host of its play.
 * @throws UserError with every problem of every host at once.
 */
export function resolveRoleVars(
  { resolveVars, tags }: Pick<RunOptions, 'resolveVars' | 'tags'>,
  plays: readonly PlayRun[],
): RoleVars {
  const problems = new Map<string, Problem>();
  const byPlay = new Map<Play, Map<RoleCall, Map<string, Vars>>>();
  for (const { play, hosts } of plays) {
    const byCall = new Map<RoleCall, Map<string, Vars>>();
    byPlay.set(play, byCall);
    for (const call of selectedCalls(play, tags)) {
      const byHost = new Map<string, Vars>();
      byCall.set(call, byHost);
      for (const host of hosts) {
        const resolved = resolveVars(host, call, play);
        if (resolved.ok) byHost.set(host.name, resolved.vars);
        else for (const problem of resolved.problems) problems.set(JSON.stringify({ ...problem, host: '' }), problem);
      }
    }
  }
  if (problems.size > 0) throw new UserError([...problems.values()].sort(byPosition));
  return byPlay;
}

/**
 * Validates every host's connection variables.
 * @throws UserError with every problem of every host at once.
 */
export function validateConnections({ connect }: Pick<RunOptions, 'connect'>, plays: readonly PlayRun[]): void {
  const problems = new Map<string, Problem>();
  for (const { play, hosts } of plays) {
    for (const host of hosts) {
      try {
        connect(host, becomesRoot(play));
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        for (const problem of error.problems) problems.set(JSON.stringify(problem), problem);
      }
    }
  }
  if (problems.size > 0) throw new UserError([...problems.values()].sort(byPosition));
}

/** In the order of the files. Problems without a position come last. */
function byPosition({ at: a }: Problem, { at: b }: Problem): number {
  if (!a || !b) return Number(!a) - Number(!b);
  return a.file === b.file ? a.line - b.line || a.column - b.column : a.file < b.file ? -1 : 1;
}
