/**
 * The tasks and handlers of a stage as instances of one host: selected by tags, with the host that they run on and the
 * handlers that they notify. Pure.
 */
import { createHash } from 'node:crypto';
import { InvalidValue, kindOf } from '../../errors.ts';
import type { TaskRef } from '../../events.ts';
import type { FactRequests } from '../../fact.ts';
import type { HostView } from '../../host-view.ts';
import type { Play } from '../../play.ts';
import type { Resource } from '../../resource.ts';
import type { RoleCall, Stage, TaskContext } from '../../role.ts';
import type { Task, Verdict } from '../../task.ts';
import { UnknownOption, unknownKeys } from '../../validate-options.ts';
import { inheritedTags, isSelected, type TagSelection } from '../plan/tags.ts';
import type { PendingHandler } from './pending-handlers.ts';

/** One task or handler of one host. */
export interface TaskInstance {
  /** Prefix of its steps' ids: `t3`, `h0`. */
  readonly key: string;
  readonly ref: TaskRef;
  readonly task: Task;
  /** The host that it runs on: its own, or the one it is delegated to. */
  readonly target: string;
  /** The handlers that become pending when this instance changes something. */
  readonly notifies: readonly PendingHandler[];
  /** Of a handler: the mark under which it is pending on its target. */
  readonly pendingName: string | undefined;
}

/** An instance that has a resource, and so has steps on a host. */
export type ResourceInstance = TaskInstance & { readonly task: Task & { readonly action: Resource } };

/** Has it a resource? Verdicts have none. */
export function hasResource(instance: TaskInstance): instance is ResourceInstance {
  return instance.task.action.kind !== 'verdict';
}

/** The verdict of an instance that is one. */
export function verdictOf(instance: TaskInstance): Verdict | undefined {
  return instance.task.action.kind === 'verdict' ? (instance.task.action as Verdict) : undefined;
}

/**
 * @throws InvalidValue where a handler has an option that does nothing: it runs once by itself, wherever it is
 * notified.
 */
function validateHandler(name: string, handler: Task): void {
  const idle = (['runOnce', 'tags'] as const).filter((option) => handler.options[option] !== undefined);
  if (idle.length === 0) return;
  throw new InvalidValue({
    what: `handler "${name}" has ${idle.join(' and ')}, which ${idle.length > 1 ? 'do' : 'does'} nothing for a handler`,
    at: handler.at,
    expected: 'when, notify, disrupts, delegateTo, ignoreErrors',
  });
}

/** What `tasks` of a stage returned. @throws InvalidValue where it is no list of tasks. */
function taskList({ name }: Stage<unknown>, returned: unknown): readonly Task[] {
  const expected = "a list of tasks: [task('Greet', file({ ... }))]";
  if (!Array.isArray(returned)) {
    const hint = returned instanceof Promise ? 'tasks is a pure function, not an async one' : undefined;
    throw new InvalidValue({ what: `tasks of stage ${name} returned ${kindOf(returned)}`, expected, hint });
  }
  const isTask = (each: unknown): boolean => each instanceof Object && 'action' in each && 'options' in each;
  if (returned.every(isTask)) return returned;
  const stray: unknown = returned[returned.findIndex((each) => !isTask(each))];
  const hint =
    stray instanceof Object && 'probe' in stray ? 'a resource stands in a task: task(NAME, RESOURCE)' : undefined;
  throw new InvalidValue({ what: `among the tasks of stage ${name} is ${kindOf(stray)}`, expected, hint });
}

/** Where a stage stands in a run. */
export interface StagePlace {
  readonly play: Play;
  readonly call: RoleCall;
  readonly stage: Stage<unknown>;
}

/**
 * The instances of one host: selected tasks in order, then the handlers, without those whose `when` is false.
 * @param first The host that does what is to be done once.
 * @throws UserError of a role's own; UnknownOption when a task notifies a handler that its stage does not have;
 *   InvalidValue when a task is delegated to a host that the run does not know.
 */
export function instantiateTasks(
  place: StagePlace,
  context: TaskContext<unknown, FactRequests>,
  selection: TagSelection,
  first: HostView,
): readonly TaskInstance[] {
  const { play, call, stage } = place;
  const own = context.host.name;
  const targetOf = (task: Task): string => {
    const target = task.options.delegateTo?.name ?? own;
    const isKnown = target === own || [context.inventory, context.runHosts].flat().some((host) => host.name === target);
    if (isKnown) return target;
    throw new InvalidValue({
      what: `task "${task.name}" is delegated to ${target}, which is not in the inventory`,
      at: task.at,
      hint: target === 'localhost' ? 'add it to the inventory: localhost ansible_connection=local' : undefined,
    });
  };
  const handlers = new Map(Object.entries(stage.handlers?.(context) ?? {}));
  for (const [name, handler] of handlers) validateHandler(name, handler);
  const pending = (name: string, handler: Task): PendingHandler => {
    const target = targetOf(handler);
    // A delegated handler lies beside those of its target's own, and a role may be called twice, for two services.
    const { kind, id } = handler.action;
    const hash = createHash('sha256').update(`${kind} ${id}`).digest('hex').slice(0, 8);
    const words = [call.role.name, stage.name, name, ...(target === own ? [] : ['for', own]), hash];
    return { name: words.join('.').replaceAll(/[^\w.-]/g, '_'), target };
  };
  const notifies = (task: Task): readonly PendingHandler[] =>
    [task.options.notify ?? []].flat().flatMap((name) => {
      const handler = handlers.get(name);
      if (handler) return handler.options.when === false ? [] : pending(name, handler);
      const where = `stage ${stage.name}, notified by task "${task.name}"`;
      throw new UnknownOption(unknownKeys('handler', where, [name], Object.fromEntries(handlers), () => task.at));
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
    target: targetOf(task),
    notifies: notifies(task),
    pendingName: handler === undefined ? undefined : pending(handler, task).name,
  });
  const inherited = inheritedTags(play, call);
  const tasks = taskList(stage, stage.tasks(context));
  return [
    ...tasks
      .map((task, i) => instance(task, `t${i}`, i))
      .filter(({ task }) => isSelected([...inherited, ...(task.options.tags ?? [])], selection))
      .filter(({ task }) => !task.options.runOnce || own === first.name),
    ...[...handlers]
      .map(([name, task], i) => instance(task, `h${i}`, tasks.length + i, name))
      .filter(({ task }) => task.options.when !== false),
  ];
}
