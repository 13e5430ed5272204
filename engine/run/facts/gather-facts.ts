/** Asks facts: one round trip per host asked, all hosts at once; hosts outside `--limit` are asked too, and only read. */
import type { Problem } from '../../errors.ts';
import type { FactAnswers, FactRequests } from '../../fact.ts';
import type { InventoryHost } from '../../inventory/inventory.ts';
import type { Step, StepResult } from '../../remote/session.ts';
import type { AskContext, TaskContext } from '../../role.ts';
import { roleProblems } from '../../role-problems.ts';
import { strict } from '../../vars/strict.ts';
import type { PhaseContext, RunContext } from '../context.ts';
import { type Answers, FactSteps } from './fact-steps.ts';

/** A role's stage, or its checks, on one host, and what it wants to know. */
export interface Requester {
  readonly host: InventoryHost;
  readonly role: string;
  readonly ask: AskContext<unknown>;
  readonly requests: FactRequests;
  /** Why it can't say what it wants to know, and what was thrown; undefined where it can. */
  readonly broken: { readonly error: unknown; readonly problems: readonly Problem[] } | undefined;
}

/** An asker of `role`, whose function `facts` says what it wants to know. */
export function requesterOf(
  host: InventoryHost,
  ask: AskContext<unknown>,
  role: string,
  facts: ((ask: AskContext<unknown>) => FactRequests) | undefined,
): Requester {
  try {
    return { host, role, ask, requests: facts?.(ask) ?? {}, broken: undefined };
  } catch (error) {
    return { host, role, ask, requests: {}, broken: { error, problems: roleProblems(error, role) } };
  }
}

/** What one host is asked, and whether as root. */
interface HostQuestions {
  readonly name: string;
  readonly become: boolean;
  readonly steps: readonly Step[];
}

/** The questions of some askers, host by host, and how to read the answers. */
export class FactQuery {
  readonly hosts: readonly HostQuestions[];
  readonly #questions = new FactSteps();

  /** @param become Are the askers' own hosts asked as root? */
  constructor(askers: readonly Requester[], become: boolean) {
    for (const { host, requests } of askers) this.#questions.add(host.name, requests);
    const own = new Set(askers.map(({ host }) => host.name));
    // A play for the controller does not become root; what it asks of hosts that are not its own is asked as their plays do.
    this.hosts = [...this.#questions.batches].map(([name, steps]) => ({
      name,
      become: own.has(name) ? become : true,
      steps,
    }));
  }

  /** One asker's answers, or what is missing: see {@link FactSteps.answers}. */
  answers(
    { host, requests }: Requester,
    results: ReadonlyMap<string, readonly StepResult[]>,
    unreachable: ReadonlyMap<string, string>,
  ): Answers {
    return this.#questions.answers(host.name, requests, results, unreachable);
  }
}

/** What a stage computes its tasks from, once its facts are known. */
export function contextOf(
  { ask, role, requests }: Requester,
  facts: Readonly<Record<string, unknown>>,
): TaskContext<unknown, FactRequests> {
  const known = strict(facts, requests, 'fact', role);
  return { ...ask, facts: known as FactAnswers<FactRequests> };
}

/**
 * The askers' answers, as task contexts. An asker whose facts can't be had leaves the run, with the reason, and is missing;
 * so is one that is unreachable itself.
 */
export async function gatherFacts(
  run: RunContext,
  askers: readonly Requester[],
  to: PhaseContext,
): Promise<ReadonlyMap<Requester, TaskContext<unknown, FactRequests>>> {
  const inquiry = new FactQuery(askers, to.become);
  const results = new Map<string, readonly StepResult[]>();
  const unreachable = new Map<string, string>();
  await Promise.all(
    inquiry.hosts.map(async ({ name, become, steps }) => {
      const host = run.hostNamed(name);
      const answers = host && (await run.send(host, steps, { ...to, become }));
      if (answers) results.set(name, answers);
      else unreachable.set(name, run.pool.whyUnreachable(name)?.what ?? 'it is not in the inventory');
    }),
  );

  const contexts = new Map<Requester, TaskContext<unknown, FactRequests>>();
  for (const asker of askers) {
    const { host, broken } = asker;
    for (const problem of broken?.problems ?? []) run.fail(host, { ...problem, host: host.name });
    if (!run.isIn(host)) continue;
    const answers = inquiry.answers(asker, results, unreachable);
    if (answers.ok) {
      contexts.set(asker, contextOf(asker, answers.facts));
    } else {
      const { host: asked, fact, why } = answers.missing;
      const of = asked === host.name ? '' : ` of ${asked}`;
      run.fail(host, { host: host.name, what: `the fact "${fact}"${of} could not be had: ${why}` });
    }
  }
  return contexts;
}
