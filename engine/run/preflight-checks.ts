/**
 * What must be known to be true before anything is changed anywhere: the checks of every role of the run, on every host, in
 * one round trip per host, before the first play.
 */
import type { Checks, Role, RoleCall } from '../role.ts';
import { roleProblems } from '../role-problems.ts';
import { isWaived } from '../verdict.ts';
import type { PlayRun, RunContext } from './context.ts';
import { gatherFacts, type Requester, requesterOf } from './facts/gather-facts.ts';
import { selectedCalls } from './tasks/task-instances.ts';

/** A role's checks on one host. */
export interface PreflightCheck extends Requester {
  readonly call: RoleCall;
  readonly checks: Checks<unknown>;
}

/** Every role's checks on every host of its plays; a role that stands in several plays is asked once per host. */
export function preflightChecks(run: RunContext, plays: readonly PlayRun[]): readonly PreflightCheck[] {
  const seen = new Map<Role, Set<string>>();
  return plays
    .flatMap((playRun) => checksOf(run, playRun))
    .filter(({ host, call }) => {
      const hosts = seen.get(call.role) ?? new Set<string>();
      seen.set(call.role, hosts);
      if (hosts.has(host.name)) return false;
      hosts.add(host.name);
      return true;
    });
}

/** Are checks made as root? Where any play's work is. */
export function checksBecome(run: RunContext, plays: readonly PlayRun[]): boolean {
  return plays.some(({ play }) => run.becomes(play));
}

/** @returns false when a check refuses or can't be made: nothing was changed, and nothing is to be. */
export async function runPreflight(run: RunContext, plays: readonly PlayRun[]): Promise<boolean> {
  const once = preflightChecks(run, plays);
  if (once.length === 0) return true;
  run.events.emit({ type: 'checks-started', hosts: [...new Set(once.map(({ host }) => host.name))] });

  const contexts = await gatherFacts(run, once, { phase: 'checks', become: checksBecome(run, plays) });
  let refused = once.some(({ host }) => !run.isIn(host) && !run.pool.whyUnreachable(host.name));
  for (const check of once) {
    const context = contexts.get(check);
    if (!context) continue;
    try {
      for (const verdict of check.checks.verdicts(context)) {
        const { id, evidence, what, expected, hint } = verdict;
        const waivable = verdict.verdict === 'refuse' && !verdict.final;
        const waived = waivable && isWaived(check.host, id);
        const advice = [hint, waivable && `to go on all the same: -e waive=${id}`];
        run.events.emit({
          type: 'verdict',
          host: check.host.name,
          role: check.call.role.name,
          check: id,
          verdict: waived ? 'waived' : verdict.verdict,
          evidence,
          problem:
            what === undefined
              ? undefined
              : { what, expected, hint: advice.filter(Boolean).join('; '), host: check.host.name },
        });
        if (verdict.verdict === 'refuse' && !waived) {
          refused = true;
          run.count(check.host, 'failed');
        }
      }
    } catch (error) {
      for (const problem of roleProblems(error, check.call.role.name)) {
        run.fail(check.host, { ...problem, host: check.host.name });
      }
      refused = true;
    }
  }
  return !refused;
}

function checksOf(run: RunContext, { play, hosts }: PlayRun): PreflightCheck[] {
  if (hosts.length === 0) return [];
  return selectedCalls(play, run.options.tags).flatMap((call) => {
    const { checks } = run.bodyOf(call);
    if (!checks) return [];
    return hosts.map((host) => ({
      call,
      checks,
      ...requesterOf(host, run.ask(host, call, hosts), call.role.name, checks.facts),
    }));
  });
}
