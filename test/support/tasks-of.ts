/** The tasks of a role, computed without a host: for tests of what a role makes of variables and facts. */
import type { FactAnswers, FactRequests } from '../../engine/fact.ts';
import type { HostView } from '../../engine/index.ts';
import type { RoleFactory } from '../../engine/role.ts';
import type { Task } from '../../engine/task.ts';
import type { Infer, VarsSchema } from '../../engine/vars/schema.ts';

/** What the tasks are computed from. */
export interface Given<S extends VarsSchema> {
  /** Variables. Those left out have their defaults. */
  readonly vars?: Partial<Infer<S>>;
  /** Answers to facts, by the names that stages give them. Those left out are the facts' examples. */
  readonly facts?: Readonly<Record<string, unknown>>;
  /** The host, which is the only one of the inventory and in every group. Default: `node-1`. */
  readonly host?: string;
}

/** The tasks of every stage, by the stage's name. */
export async function tasksOf<S extends VarsSchema>(
  factory: RoleFactory<S>,
  given: Given<S> = {},
): Promise<Readonly<Record<string, readonly Task[]>>> {
  const name = given.host ?? 'node-1';
  const host: HostView = { name, address: name, port: 22, groups: ['all'], var: () => undefined };
  const defaults = Object.entries(factory.role.vars.properties).map(([name, schema]) => [name, schema.default]);
  const vars = { ...Object.fromEntries(defaults), ...given.vars };
  const ask = { vars, host, group: () => [host], inventory: [host], playHosts: [host], runHosts: [host] };
  const { stages } = await factory.role.load();
  return Object.fromEntries(
    stages.map((stage) => {
      const facts = { ...examples(stage.facts?.(ask) ?? {}), ...given.facts };
      return [stage.name, stage.tasks({ ...ask, facts: facts as FactAnswers<FactRequests> })];
    }),
  );
}

function examples(requests: FactRequests): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(requests).map(([name, request]) => [
      name,
      'fact' in request ? new Map(request.of.map((host) => [host.name, request.fact.example])) : request.example,
    ]),
  );
}
