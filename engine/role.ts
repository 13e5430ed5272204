/**
 * A role: what to configure. It declares its variables, asks for facts, and computes tasks from them. It knows no
 * transport. It is pure but for one thing: `copy()` and `template()` read files of the project (project-files.ts).
 */

import { didYouMean, type Position, UserError } from './errors.ts';
import type { FactAnswers, FactRequests } from './fact.ts';
import type { HostView } from './host-view.ts';
import { callerOf, type Task, type Verdict } from './task.ts';
import {
  BOOLEAN,
  FUNCTION,
  invalidOptions,
  isMapping,
  type OptionsOf,
  type OptionTable,
  type OptionTableOf,
  required,
  STRING_LIST,
  TEXT,
  unknownOptions,
  valueType,
} from './validate-options.ts';
import type { Infer, VarsSchema } from './vars/schema.ts';

/** What is known before facts: enough to decide which facts to ask for. */
export interface AskContext<V> {
  /** The role's variables, validated and with defaults. */
  readonly vars: V;
  /** The host that tasks are computed for. */
  readonly host: HostView;
  /**
   * The hosts of a group, in inventory order, also those outside `--limit`. Empty when the inventory has no such group.
   */
  group(name: string): readonly HostView[];
  /** Every host of the inventory, in its order. */
  readonly inventory: readonly HostView[];
  /** The hosts of the play that are still in it, in order, after `--limit`. */
  readonly playHosts: readonly HostView[];
  /** The hosts of every play of the run, in inventory order, after `--limit`. No other host changes. */
  readonly runHosts: readonly HostView[];
}

/** What a stage's tasks are computed from. */
export interface TaskContext<V, R extends FactRequests = FactRequests> extends AskContext<V> {
  /** The answers to the stage's `facts`. */
  readonly facts: FactAnswers<R>;
}

/**
 * Part of a role: one script for its facts, one for its probes, one for its changes. A role has several stages where
 * later tasks depend on the result of earlier ones. All hosts finish a stage before any starts the next.
 */
export interface Stage<V, R extends FactRequests = FactRequests> {
  /** Its name: `install`, `join`. */
  readonly name: string;
  /**
   * True where its facts depend on an effect of asking the facts of the stage before: packets that were sent. They are
   * then asked after those of all hosts, also when nothing changes.
   */
  readonly afterFacts?: boolean;
  /** Which facts to ask for. Pure. */
  facts?(context: AskContext<V>): R;
  /**
   * The tasks, in order. Called more than once a run. Pure, but for files of the project that `copy()` and `template()`
   * read. May throw a `UserError` to refuse.
   */
  tasks(context: TaskContext<V, R>): readonly Task[];
  /**
   * Tasks by the name they are notified by. They run after the stage's tasks, once, in the order declared here. As pure
   * as `tasks`.
   */
  handlers?(context: TaskContext<V, R>): Readonly<Record<string, Task>>;
}

/**
 * What must be true before anything is changed anywhere: asked on every host of the run before the first play starts. A
 * `refuse` stops the run unless it is waived by name (`-e waive=clock`).
 */
export interface Checks<V, R extends FactRequests = FactRequests> {
  facts(context: AskContext<V>): R;
  verdicts(context: TaskContext<V, R>): readonly Verdict[];
}

/** What a role does. */
export interface RoleBody {
  readonly checks: Checks<unknown> | undefined;
  /** Variables are `unknown` here. {@link defineRole} has checked that the stages fit the role's schema. */
  readonly stages: readonly Stage<unknown>[];
}

/** A role, declared. */
export interface Role<S extends VarsSchema = VarsSchema> {
  /** Its name: its folder, its tag. */
  readonly name: string;
  /** One sentence, for `--list-tasks` and the reference. */
  readonly description: string;
  /** The hosts it is for when no play says so (`scripts/role.ts`): a pattern. */
  readonly hosts: string;
  readonly vars: S;
  /** The tags its tasks use besides its own name, so that `--tags` can pass a role by without asking a host. */
  readonly tags: readonly string[];
  /** What it does. Where that is a module of its own, the first call loads it. */
  load(): Promise<RoleBody>;
}

/** A role as a play calls it. */
export interface RoleCall {
  readonly role: Role;
  /** Variables that win over the inventory's. */
  readonly vars: Readonly<Record<string, unknown>>;
  readonly tags: readonly string[];
}

const CALL = {
  /** Every task of the role has these tags in this call. */
  tags: STRING_LIST,
};

/** What a call of a role takes besides variables. */
export type RoleCallOptions = OptionsOf<typeof CALL>;

/**
 * A declared role is called with variables of its own and tags: `firewall({ firewall_policy: 'deny' }, { tags: ['net']
 * })`.
 */
export interface RoleFactory<S extends VarsSchema> {
  (vars?: Partial<Infer<S>>, options?: RoleCallOptions): RoleCall;
  readonly role: Role<S>;
}

/**
 * Stages that may use a schema's variables. Each has facts of its own type: `(stage) => [stage({ name, facts, tasks }),
 * ...]`.
 */
export type RoleStages<S extends VarsSchema> = (stage: StageMaker<Infer<S>>) => readonly Stage<Infer<S>>[];

/**
 * Checks that may use a schema's variables, with facts of their own type: `(checks) => checks({ facts, verdicts })`.
 */
export type RoleChecks<S extends VarsSchema> = (checks: ChecksMaker<Infer<S>>) => Checks<Infer<S>>;

type StageMaker<V> = <R extends FactRequests>(stage: Stage<V, R>) => Stage<V>;
type ChecksMaker<V> = <R extends FactRequests>(checks: Checks<V, R>) => Checks<V>;

/** What a role does, as it is declared. */
export interface RoleBodyDeclaration<S extends VarsSchema> {
  readonly checks?: RoleChecks<S>;
  readonly stages: RoleStages<S>;
}

/** What {@link defineRole} takes. */
export type RoleDeclaration<S extends VarsSchema> = {
  readonly name: string;
  readonly description: string;
  /** Default: `all`. */
  readonly hosts?: string;
  readonly vars: S;
  readonly tags?: readonly string[];
} & (
  | RoleBodyDeclaration<S>
  /** Or in a module of its own, `() => import('./stages.ts')`, which only a command that runs the role loads. */
  | { readonly load: () => Promise<RoleBodyDeclaration<S>> }
);

type Keyword = 'name' | 'description' | 'hosts' | 'vars' | 'tags' | 'load' | keyof RoleBodyDeclaration<VarsSchema>;
// Roles, stages and checks are generic in the role's variables and facts, which a table cannot be. So their types are
// written by hand, and the compiler holds these tables to them.
const ROLE = {
  name: required(TEXT),
  description: required(TEXT),
  hosts: TEXT,
  vars: required(valueType('a schema of variables: { properties: { ... } }', isMapping)),
  tags: STRING_LIST,
  load: FUNCTION,
  checks: FUNCTION,
  stages: FUNCTION,
} satisfies Record<Keyword, unknown>;
const STAGE = {
  name: required(TEXT),
  afterFacts: BOOLEAN,
  facts: FUNCTION,
  tasks: required(FUNCTION),
  handlers: FUNCTION,
} satisfies OptionTableOf<Stage<unknown>>;
const CHECKS = { facts: required(FUNCTION), verdicts: required(FUNCTION) } satisfies OptionTableOf<Checks<unknown>>;

/**
 * Declares a role. Its file exports the result, and a play calls that.
 * @throws UserError on a keyword that is unknown, missing or of a wrong type. Stages and checks are looked at when they
 * are loaded.
 */
export function defineRole<const S extends VarsSchema>(declaration: RoleDeclaration<S>): RoleFactory<S> {
  const { name, description, hosts = 'all', vars, tags = [] } = declaration;
  const at = callerOf(defineRole);
  check(`role ${name}`, declaration, ROLE, at);
  if (!('load' in declaration) && !('stages' in declaration)) {
    throw new UserError({
      what: `role ${name} does nothing`,
      at: at(),
      expected: 'stages, or load: a module that exports them',
    });
  }
  const load = async (): Promise<RoleBody> => {
    const { checks, stages } = 'load' in declaration ? bodyOf(name, await declaration.load()) : declaration;
    const made = { checks: checks?.((made) => made), stages: stages((stage) => stage) };
    if (made.checks) check(`the checks of role ${name}`, made.checks, CHECKS, at);
    for (const stage of made.stages) check(`stage ${stage.name} of role ${name}`, stage, STAGE, at);
    return made;
  };
  let loaded: Promise<RoleBody> | undefined;
  const role: Role<S> = { name, description, hosts, vars, tags, load: () => (loaded ??= load()) };
  const call = (vars: Partial<Infer<S>> = {}, options: RoleCallOptions = {}): RoleCall => {
    check(`the call of role ${name}`, options, CALL, callerOf(call));
    return { role, vars, tags: options.tags ?? [] };
  };
  return Object.assign(call, { role });
}

/**
 * The stages and checks that a module exports. It may export other things, but nothing whose name is almost that of a
 * missing one.
 * @throws UserError where it does, or exports no stages.
 */
function bodyOf<S extends VarsSchema>(role: string, module: RoleBodyDeclaration<S>): RoleBodyDeclaration<S> {
  const missing = ['stages', 'checks'].filter((name) => !Object.hasOwn(module, name));
  for (const name of Object.keys(module)) {
    const near = didYouMean(name, missing, 1);
    if (near === undefined) continue;
    const hint = `did you mean "${near}"? If not, rename it`;
    throw new UserError({ what: `the stages module of role ${role} exports ${name}`, hint });
  }
  if (!missing.includes('stages')) return module;
  throw new UserError({
    what: `the stages module of role ${role} exports no stages`,
    expected: 'stages: RoleStages, checks: RoleChecks (which need not be there)',
  });
}

/** @throws UserError on a keyword that is unknown, missing or of a wrong type. */
function check(where: string, given: object, table: OptionTable, at?: () => Position | undefined): void {
  const place = { noun: 'keyword', where, at };
  const unknown = unknownOptions(given, table, place);
  const problems = unknown.length > 0 ? unknown : invalidOptions(given, table, place);
  if (problems.length > 0) throw new UserError(problems);
}
