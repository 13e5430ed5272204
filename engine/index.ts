/** What playbooks and roles import. Nothing here loads what only a run needs. */
import { playbookCommand } from './cli/playbook.ts';
import { withCompileCache } from './compile-cache/with-compile-cache.ts';

/**
 * Runs plays as the command line says: `await playbook('Install k3s', [play({ ... }), ...])`. The last statement of a
 * playbook; sets the exit code.
 */
export const playbook = await withCompileCache(playbookCommand);

export { type Position, type Problem, UserError } from './errors.ts';
export { type Fact, type FactOfOthers, type FactOutput, fact, fromEach } from './fact.ts';
export type { HostView } from './host-view.ts';
export { type Play, type Playbook, play } from './play.ts';
export type { Explanation, Resource } from './resource.ts';
export {
  type AskContext,
  defineRole,
  type RoleCall,
  type RoleChecks,
  type RoleStages,
  type TaskContext,
} from './role.ts';
export { Script, type ShellFunction, sh, shellFunction } from './script.ts';
export { Secret, SecretText } from './secret.ts';
export { type Disruption, type Task, type TaskOptions, task, type Verdict } from './task.ts';
export type { Infer, VarsSchema } from './vars/schema.ts';
export { isWaived, pass, refuse, warn } from './verdict.ts';
