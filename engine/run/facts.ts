/** Asks facts: one round trip per host asked, all hosts at once; hosts outside `--limit` are asked too, and only read. */
import type { Phase } from '../events.ts';
import type { FactAnswers, FactRequests } from '../fact.ts';
import type { InventoryHost } from '../inventory/inventory.ts';
import type { StepResult } from '../remote/session.ts';
import type { AskContext, TaskContext } from '../role.ts';
import type { RunContext } from './context.ts';
import { Questions } from './questions.ts';

/** A role's stage, or its checks, on one host, and what it wants to know. */
export interface Asker {
  readonly host: InventoryHost;
  readonly ask: AskContext<unknown>;
  readonly requests: FactRequests;
}

/**
 * The askers' answers, as task contexts. An asker whose facts can't be had leaves the run, with the reason, and is missing;
 * so is one that is unreachable itself.
 */
export async function askFacts(
  run: RunContext,
  askers: readonly Asker[],
  to: { readonly phase: Phase; readonly become: boolean; readonly role?: string; readonly stage?: string },
): Promise<ReadonlyMap<Asker, TaskContext<unknown, FactRequests>>> {
  const questions = new Questions();
  for (const { host, requests } of askers) questions.add(host.name, requests);

  const results = new Map<string, readonly StepResult[]>();
  const unreachable = new Map<string, string>();
  const arrived = new Map<string, number>();
  await Promise.all(
    [...questions.batches].map(async ([name, steps]) => {
      const host = run.options.inventory.hosts.find((candidate) => candidate.name === name);
      const listener = {
        finished: ({ id }: StepResult): void => {
          arrived.set(`${name} ${id}`, Date.now() / 1000);
        },
      };
      // A play for the controller does not become root; what it asks of hosts that are not its own is asked as their plays do.
      const own = askers.some((asker) => asker.host.name === name);
      const answers = host && (await run.send(host, steps, own ? to : { ...to, become: true }, listener));
      if (answers) results.set(name, answers);
      else unreachable.set(name, run.pool.whyUnreachable(name)?.what ?? 'it is not in the inventory');
    }),
  );

  const contexts = new Map<Asker, TaskContext<unknown, FactRequests>>();
  for (const asker of askers) {
    const { host, ask, requests } = asker;
    if (!run.isIn(host)) continue;
    const answers = questions.answers(host.name, requests, results, unreachable, arrived);
    if (answers.ok) {
      contexts.set(asker, { ...ask, facts: answers.facts as FactAnswers<FactRequests> });
    } else {
      const { host: asked, fact, why } = answers.missing;
      const of = asked === host.name ? '' : ` of ${asked}`;
      run.fail(host, { host: host.name, what: `the fact "${fact}"${of} could not be had: ${why}` });
    }
  }
  return contexts;
}
