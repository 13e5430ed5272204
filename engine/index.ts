/** What playbooks and roles import. Nothing here loads what only a run needs. */
import { runCompiled } from './cli/compiled.ts';

await runCompiled();

export { playbook } from './cli/playbook.ts';
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
