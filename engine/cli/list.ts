/** `--list-hosts`, `--list-tasks`, `--list-tags`: what a run would do, without connecting to anything. */
import { UserError } from '../errors.ts';
import type { FactAnswers, FactRequests } from '../fact.ts';
import type { Inventory } from '../inventory/inventory.ts';
import type { AskContext } from '../role.ts';
import { roleProblems } from '../role-problems.ts';
import { loadRoles } from '../run/plan/load-roles.ts';
import { askContext } from '../run/plan/role-contexts.ts';
import type { RunOptions } from '../run/plan/run-options.ts';
import type { PlayRun } from '../run/plan/select-plays.ts';
import { inheritedTags, selectedCalls, type TagSelection } from '../run/plan/tags.ts';
import { instantiateTasks, type StagePlace } from '../run/tasks/task-instances.ts';
import type { Task } from '../task.ts';
import { strictVars } from '../vars/strict.ts';

/** The hosts of each play. */
export function listHosts(plays: readonly PlayRun[]): string {
  return plays
    .flatMap(({ play, hosts }) => [
      `${play.name} (${play.hosts}): ${hosts.length}`,
      ...hosts.map(({ name }) => `  ${name}`),
    ])
    .join('\n');
}

/**
 * The tasks of each play with their tags, computed for its first host from the examples of facts: those of a new host.
 */
export async function listTasks(
  plays: readonly PlayRun[],
  selection: TagSelection,
  inventory: Inventory,
  resolveVars: RunOptions['resolveVars'],
): Promise<string> {
  const roles = await loadRoles(plays, selection);
  const runHosts = [...new Set(plays.flatMap(({ hosts }) => hosts))];
  const lines = plays.flatMap(({ play, hosts }) => {
    const [host] = hosts;
    if (!host) return [`${play.name} (${play.hosts}): no hosts`];
    const calls = selectedCalls(play, selection).flatMap((call) => {
      const inherited = inheritedTags(play, call);
      const resolved = resolveVars(host, call, play);
      if (!resolved.ok) throw new UserError(resolved.problems);
      const ask = askContext(inventory, host, strictVars(resolved.vars, call.role), hosts, runHosts);
      const role = roles.get(call.role);
      const stages = (role?.stages ?? []).flatMap((stage) => {
        const tags = ({ options }: Task) => [...new Set([...inherited, ...(options.tags ?? [])])].join(', ');
        return exampleTasks({ play, call, stage }, ask, selection).map(
          (task) => `    ${stage.name}: ${task.name}  [${tags(task)}]`,
        );
      });
      const checks = role?.checks
        ? [`    checks: on every host, before anything is changed  [${inherited.join(', ')}]`]
        : [];
      const lines = [...checks, ...stages];
      return lines.length > 0 ? [`  ${call.role.name} - ${call.role.description}`, ...lines] : [];
    });
    return calls.length > 0 ? [`${play.name} (${play.hosts})`, ...calls] : [];
  });
  return ['Tasks of a new host, the first of each play. Facts are examples.', ...lines].join('\n');
}

/** The tags that `--tags` can name. */
export function listTags(plays: readonly PlayRun[]): string {
  return plays
    .map(({ play }) => {
      const tags = play.roles.flatMap((call) => [...inheritedTags(play, call), ...call.role.tags]);
      return `${play.name}: ${[...new Set(tags)].sort().join(', ')}`;
    })
    .join('\n');
}

/** @throws UserError where the role has a mistake, such as a handler that does not exist. */
function exampleTasks(place: StagePlace, ask: AskContext<unknown>, selection: TagSelection): readonly Task[] {
  const { stage, call } = place;
  const requests: FactRequests = stage.facts?.(ask) ?? {};
  const facts = Object.fromEntries(
    Object.entries(requests).map(([name, request]) => [
      name,
      'fact' in request ? new Map(request.of.map((host) => [host.name, request.fact.example])) : request.example,
    ]),
  );
  try {
    const units = instantiateTasks(place, { ...ask, facts: facts as FactAnswers<FactRequests> }, selection, ask.host);
    return units.filter(({ ref }) => !ref.handler).map(({ task }) => task);
  } catch (error) {
    throw new UserError(roleProblems(error, call.role.name));
  }
}
