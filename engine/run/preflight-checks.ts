/**
 * Preflight checks: what must hold before anything is changed anywhere. The checks of every role of the run, on every
 * host, in one round trip per host, before the first play.
 */
import type { EventStream } from '../event-stream.ts';
import type { InventoryHost } from '../inventory/inventory.ts';
import type { Checks, RoleCall } from '../role.ts';
import { roleProblems } from '../role-problems.ts';
import { Secret, SecretText } from '../secret.ts';
import type { Verdict } from '../task.ts';
import { isWaived } from '../verdict.ts';
import { type GatherContext, gatherFacts, type Requester, requesterOf } from './facts/gather-facts.ts';
import type { RoleContexts } from './plan/role-contexts.ts';
import { becomesRoot, type PlayRun } from './plan/select-plays.ts';
import { selectedCalls, type TagSelection } from './plan/tags.ts';

/** The checks of a role call on one host. */
export interface PreflightCheck extends Requester {
  readonly call: RoleCall;
  readonly checks: Checks<unknown>;
}

/** What finding the checks of a run needs. */
export interface CheckSelection {
  readonly roles: RoleContexts;
  readonly tags: TagSelection;
}

/** What {@link runPreflight} needs of a run. */
export interface PreflightContext extends GatherContext, CheckSelection {
  readonly events: EventStream;
}

/**
 * The checks of every role on every host of its plays. A role that is called several times on a host is checked once
 * for each set of variables.
 */
export function preflightChecks(selection: CheckSelection, plays: readonly PlayRun[]): readonly PreflightCheck[] {
  const known = new Set<string>();
  return plays
    .flatMap((playRun) => checksOf(selection, playRun, (host) => isRootOn(plays, host)))
    .filter(({ host, call, vars }) => {
      const key = JSON.stringify([host.name, call.role.name, vars]);
      if (known.has(key)) return false;
      known.add(key);
      return true;
    });
}

/** Variables as they are compared, never shown: sets that differ in a secret alone differ. */
function comparable(value: unknown): unknown {
  if (value instanceof Secret || value instanceof SecretText) return { secret: value.reveal() };
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, comparable(each)]));
}

function checksOf(
  { roles, tags }: CheckSelection,
  { play, hosts }: PlayRun,
  become: (host: InventoryHost) => boolean,
): (PreflightCheck & { readonly vars: unknown })[] {
  if (hosts.length === 0) return [];
  return selectedCalls(play, tags).flatMap((call) => {
    const { checks } = roles.bodyOf(call);
    if (!checks) return [];
    return hosts.map((host) => ({
      call,
      checks,
      vars: comparable(roles.varsOf({ play }, call, host)),
      ...requesterOf(host, roles.contextOf({ play }, call, host, hosts), call.role.name, checks.facts, become(host)),
    }));
  });
}

/** Are the checks of a host made as root? Where any play runs as root there. */
function isRootOn(plays: readonly PlayRun[], host: InventoryHost): boolean {
  return plays.some(({ play, hosts }) => becomesRoot(play) && hosts.includes(host));
}

/** @returns false when a check refuses or can't be made: nothing was changed, and nothing is to be. */
export async function runPreflight(context: PreflightContext, plays: readonly PlayRun[]): Promise<boolean> {
  const { events, roster, sender } = context;
  const checks = preflightChecks(context, plays);
  if (checks.length === 0) return true;
  events.emit({ type: 'checks-started', hosts: [...new Set(checks.map(({ host }) => host.name))] });

  const contexts = await gatherFacts(context, checks, { phase: 'checks' });
  let isRefused = checks.some(({ host }) => !roster.isActive(host) && !sender.whyUnreachable(host.name));
  for (const check of checks) {
    const { host, call } = check;
    const known = contexts.get(check);
    if (!known) continue;
    try {
      for (const verdict of check.checks.verdicts(known)) {
        if (!report(events, host, call, verdict)) continue;
        isRefused = true;
        roster.recap.count(host.name, 'failed');
      }
    } catch (error) {
      for (const problem of roleProblems(error, call.role.name)) roster.fail(host, problem);
      isRefused = true;
    }
  }
  return !isRefused;
}

/** @returns true where the verdict refuses the run. */
function report(events: EventStream, host: InventoryHost, call: RoleCall, verdict: Verdict): boolean {
  const { id, evidence, what, expected, hint } = verdict;
  const isWaivable = verdict.verdict === 'refuse' && !verdict.final;
  const waived = isWaivable && isWaived(host, id);
  const advice = [hint, isWaivable && `to go on all the same: -e waive=${id}`].filter(Boolean).join('; ');
  events.emit({
    type: 'verdict',
    host: host.name,
    role: call.role.name,
    check: id,
    verdict: waived ? 'waived' : verdict.verdict,
    evidence,
    problem: what === undefined ? undefined : { what, expected, hint: advice, host: host.name },
  });
  return verdict.verdict === 'refuse' && !waived;
}
