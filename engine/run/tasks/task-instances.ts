/**
 * A stage's tasks and handlers as the instances of work of one host: numbered, selected by tags, with the host they look at and
 * the handlers they notify. Pure.
 */

import { InvalidValue } from '../../errors.ts';
import type { TaskRef } from '../../events.ts';
import type { FactRequests } from '../../fact.ts';
import type { HostView } from '../../host-view.ts';
import type { Play } from '../../play.ts';
import type { Resource } from '../../resource.ts';
import type { RoleCall, Stage, TaskContext } from '../../role.ts';
import type { Task, Verdict } from '../../task.ts';
import { unknownKeys } from '../../validate-options.ts';
import { isSelected, mayBeSelected, type TagSelection } from '../plan/tags.ts';

/** One task or handler of one host. */
export interface TaskInstance {
  /** Prefix of its steps' ids: `t3`, `h0`. */
  readonly key: string;
  readonly ref: TaskRef;
  readonly task: Task;
  /** The host whose session it uses: its own, or the one it is delegated to. */
  readonly target: string;
  /** Names under which handlers are owed when this instance changes something. */
  readonly notifies: readonly string[];
  /** For a handler: the name it is owed under. */
  readonly pendingName: string | undefined;
}

/** A instance that has a resource, which is every instance with steps on a host. */
export type ResourceInstance = TaskInstance & { readonly task: Task & { readonly action: Resource } };

/** Has it something to look at on a host? */
export function hasResource(instance: TaskInstance): instance is ResourceInstance {
  return instance.task.action.kind !== 'verdict';
}

/** The verdict of a instance that is one. */
export function verdictOf(instance: TaskInstance): Verdict | undefined {
  return instance.task.action.kind === 'verdict' ? (instance.task.action as Verdict) : undefined;
}

/** Where a stage stands in a run. */
export interface StagePlace {
  readonly play: Play;
  readonly call: RoleCall;
  readonly stage: Stage<unknown>;
}

/** Tags that every task of a role call has. */
export function inheritedTags(play: Play, call: RoleCall): readonly string[] {
  return [...(play.tags ?? []), call.role.name, ...call.tags];
}

/** The roles of a play that may have selected tasks. */
export function selectedCalls(play: Play, selection: TagSelection): readonly RoleCall[] {
  return play.roles.filter((call) => mayBeSelected(inheritedTags(play, call), call.role.tags, selection));
}

/**
 * The instances of one host: selected tasks in order, then the stage's handlers but those whose `when` says no.
 * @throws UserError of a role's own; WrongValue when a task notifies a handler that its stage does not have.
 */
export function instantiateTasks(
  place: StagePlace,
  context: TaskContext<unknown, FactRequests>,
  selection: TagSelection,
  first: HostView,
): readonly TaskInstance[] {
  const { play, call, stage } = place;
  const handlers = Object.entries(stage.handlers?.(context) ?? {});
  const owedName = (handler: string): string =>
    `${call.role.name}.${stage.name}.${handler}`.replaceAll(/[^\w.-]/g, '_');
  const notifies = (task: Task): readonly string[] =>
    [task.options.notify ?? []].flat().flatMap((name) => {
      const [, handler] = handlers.find(([each]) => each === name) ?? [];
      // One that is not to run now is owed to nobody.
      if (handler) return handler.options.when === false ? [] : owedName(name);
      const names = Object.fromEntries(handlers);
      const where = `stage ${stage.name}, notified by task "${task.name}"`;
      throw new InvalidValue(unknownKeys('handler', where, [name], names, () => task.at));
    });
  const instance = (task: Task, key: string, index: number, handler?: string): TaskInstance => ({
    key,
    ref: {
      play: play.name,
      role: call.role.name,
      stage: stage.name,
      name: task.name,
      index,
      handler: handler !== undefined,
      resource: `${task.action.kind === 'verdict' ? 'check' : task.action.kind} ${task.action.id}`,
    },
    task,
    target: task.options.delegateTo?.name ?? context.host.name,
    notifies: notifies(task),
    pendingName: handler === undefined ? undefined : owedName(handler),
  });
  const inherited = inheritedTags(play, call);
  const tasks = stage.tasks(context);
  return [
    ...tasks
      .map((task, i) => instance(task, `t${i}`, i))
      .filter(({ task }) => isSelected([...inherited, ...(task.options.tags ?? [])], selection))
      .filter(({ task }) => !task.options.runOnce || context.host.name === first.name),
    ...handlers
      .map(([name, task], i) => instance(task, `h${i}`, tasks.length + i, name))
      .filter(({ task }) => task.options.when !== false),
  ];
}
