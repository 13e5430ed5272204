/**
 * Gathers facts: one round trip per host, all hosts at once. Hosts outside `--limit` are asked too, and only read.
 */
import type { Problem } from '../../errors.ts';
import type { FactAnswers, FactRequests } from '../../fact.ts';
import type { InventoryHost } from '../../inventory/inventory.ts';
import type { Step, StepResult } from '../../remote/session.ts';
import type { AskContext, TaskContext } from '../../role.ts';
import { roleProblems } from '../../role-problems.ts';
import { strict } from '../../vars/strict.ts';
import type { HostRoster } from '../report/host-roster.ts';
import type { Sender } from '../sessions/sender.ts';
import type { SendContext } from '../sessions/session-pool.ts';
import { type Answers, FactSteps } from './fact-steps.ts';

/** Who needs facts: a role's stage, or its preflight checks, on one host. */
export interface Requester {
  readonly host: InventoryHost;
  readonly role: string;
  readonly ask: AskContext<unknown>;
  readonly requests: FactRequests;
  /** Is its host asked as root? */
  readonly become: boolean;
  /** Set where the role's function for its requests threw. */
  readonly broken: { readonly error: unknown; readonly problems: readonly Problem[] } | undefined;
}

/** A requester of `role`. @param facts The role's function that names the facts it needs. */
export function requesterOf(
  host: InventoryHost,
  ask: AskContext<unknown>,
  role: string,
  facts: ((ask: AskContext<unknown>) => FactRequests) | undefined,
  become: boolean,
): Requester {
  try {
    return { host, role, ask, requests: facts?.(ask) ?? {}, become, broken: undefined };
  } catch (error) {
    return { host, role, ask, requests: {}, become, broken: { error, problems: roleProblems(error, role) } };
  }
}

/** What one host is asked, and whether as root. */
interface HostQuery {
  readonly name: string;
  readonly become: boolean;
  readonly steps: readonly Step[];
}

/** The requests of some requesters as steps for each host, and how to read the results. */
export class FactQuery {
  readonly hosts: readonly HostQuery[];
  readonly #steps = new FactSteps();

  constructor(requesters: readonly Requester[]) {
    for (const { host, requests } of requesters) this.#steps.add(host.name, requests);
    const own = new Map(requesters.map(({ host, become }) => [host.name, become]));
    // A play for the controller does not become root. Other hosts that it asks are asked as root, as their own plays
    // ask them.
    this.hosts = [...this.#steps.byHost].map(([name, steps]) => ({
      name,
      become: own.get(name) ?? true,
      steps,
    }));
  }

  /** One requester's answers, or what is missing: see {@link FactSteps.answers}. */
  answers(
    { host, requests }: Requester,
    results: ReadonlyMap<string, readonly StepResult[]>,
    unreachable: ReadonlyMap<string, string>,
  ): Answers {
    return this.#steps.answers(host.name, requests, results, unreachable);
  }
}

/** What a stage's tasks are computed from, once its facts are known. */
export function taskContext(
  { ask, role, requests }: Requester,
  facts: Readonly<Record<string, unknown>>,
): TaskContext<unknown, FactRequests> {
  const hint = (name: string): string => `facts: () => ({ ${name} }) in the stage that reads it`;
  return { ...ask, facts: strict(facts, requests, 'fact', role, hint) as FactAnswers<FactRequests> };
}

/** What {@link gatherFacts} needs of a run. */
export interface GatherContext {
  readonly sender: Sender;
  readonly roster: HostRoster;
}

/**
 * The requesters' answers, as task contexts. A host whose facts can't be had leaves the run, with the reason, and is
 * missing; so is one that is unreachable.
 */
export async function gatherFacts(
  { sender, roster }: GatherContext,
  requesters: readonly Requester[],
  context: Omit<SendContext, 'become'>,
): Promise<ReadonlyMap<Requester, TaskContext<unknown, FactRequests>>> {
  const query = new FactQuery(requesters);
  const results = new Map<string, readonly StepResult[]>();
  const unreachable = new Map<string, string>();
  await Promise.all(
    query.hosts.map(async ({ name, become, steps }) => {
      const host = roster.named(name);
      const answers = host && (await sender.send(host, steps, { ...context, become }));
      if (answers) results.set(name, answers);
      else unreachable.set(name, sender.whyUnreachable(name)?.what ?? 'it is not in the inventory');
    }),
  );

  const contexts = new Map<Requester, TaskContext<unknown, FactRequests>>();
  for (const requester of requesters) {
    const { host, broken } = requester;
    for (const problem of broken?.problems ?? []) roster.fail(host, problem);
    if (!roster.isActive(host)) continue;
    const answers = query.answers(requester, results, unreachable);
    if (answers.ok) {
      contexts.set(requester, taskContext(requester, answers.facts));
    } else {
      const { host: asked, fact, why } = answers.missing;
      const of = asked === host.name ? '' : ` of ${asked}`;
      roster.fail(host, { what: `the fact "${fact}"${of} could not be gathered: ${why}` });
    }
  }
  return contexts;
}
