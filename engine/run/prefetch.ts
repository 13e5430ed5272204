/**
 * Prefetching: all that the run is going to ask is asked at once, before its first play. Until something is changed the
 * answers hold, so the facts of all plays are one script per host, and their probes another. Stages then find their
 * answers in the prefetch cache; a run with nothing to do ends with that. The first change clears the cache, and each
 * stage asks for itself.
 *
 * Nothing is decided here. What can't be computed yet is left to the stage. Only errors in roles that no fact excuses
 * are reported here, since nothing has been changed yet.
 */
import type { FactRequests } from '../fact.ts';
import type { InventoryHost } from '../inventory/inventory.ts';
import type { StepResult } from '../remote/session.ts';
import type { TaskContext } from '../role.ts';
import { FactQuery, type GatherContext, type Requester, requesterOf, taskContext } from './facts/gather-facts.ts';
import { batches } from './plan/batches.ts';
import type { Interruption } from './plan/run-options.ts';
import { becomesRoot, type PlayRun } from './plan/select-plays.ts';
import { selectedCalls, type TagSelection } from './plan/tags.ts';
import { type CheckSelection, preflightChecks } from './preflight-checks.ts';
import { FactUse, RoleErrors } from './role-errors.ts';
import type { PrefetchCache } from './sessions/prefetch-cache.ts';
import { checkSteps } from './tasks/check-phase.ts';
import type { ProbeStep } from './tasks/shared-probes.ts';
import { instantiateTasks, type StagePlace } from './tasks/task-instances.ts';

/** What {@link prefetch} needs of a run. */
export interface PrefetchContext extends GatherContext, CheckSelection {
  readonly cache: PrefetchCache;
  readonly interruption: Interruption;
}

/** A stage, on the hosts of a batch, as it runs if nothing changes before. */
interface PlannedStage {
  readonly place: StagePlace;
  readonly become: boolean;
  readonly requesters: readonly Requester[];
  readonly query: FactQuery;
  /** The round in which its facts are asked. Its probes are asked in the next. */
  readonly round: number;
}

/**
 * Asks ahead what the plays will ask, as far as it can be known without changing anything.
 * @throws UserError of the errors in roles that no fact excuses.
 */
export async function prefetch(run: PrefetchContext, plays: readonly PlayRun[]): Promise<void> {
  const errors = new RoleErrors(plays);
  const stages = plays.flatMap((playRun) => plannedStages(run, playRun, errors));
  errors.throwIfAny();
  const last = Math.max(0, ...stages.map(({ round }) => round + 1));
  for (let round = 0; round <= last; round++) {
    const steps = new PrefetchRound();
    // Facts before probes, those of the checks first: some of them tell a time.
    if (round === 0) steps.addFacts(new FactQuery(preflightChecks(run, plays)));
    for (const stage of stages) if (stage.round === round) steps.addFacts(stage.query);
    for (const stage of stages) if (stage.round === round - 1) addProbes(run, stage, steps, errors);
    errors.throwIfAny();
    await steps.send(run, round === 0 ? 'facts' : 'check');
    if (run.interruption.requested) return;
  }
}

function plannedStages(
  { roles, tags }: PrefetchContext,
  { play, hosts }: PlayRun,
  errors: RoleErrors,
): readonly PlannedStage[] {
  const become = becomesRoot(play);
  const calls = selectedCalls(play, tags);
  return batches(hosts, play.serial).flatMap((batch) =>
    calls.flatMap((call) => {
      let round = 0;
      return roles.bodyOf(call).stages.map((stage): PlannedStage => {
        if (stage.afterFacts) round++;
        const place = { play, call, stage };
        const requesters = batch.map((host) => {
          const ask = roles.contextOf(place, call, host, hosts);
          const use = new FactUse(ask);
          const requester = requesterOf(host, use.context, call.role.name, stage.facts, become);
          if (requester.broken) errors.add(place, host.name, requester.broken.error, use);
          return { ...requester, ask };
        });
        return { place, become, requesters, query: new FactQuery(requesters), round };
      });
    }),
  );
}

/** The probes of a stage's tasks, for those hosts whose facts are known. */
function addProbes(
  run: PrefetchContext,
  { place, become, requesters, query }: PlannedStage,
  steps: PrefetchRound,
  errors: RoleErrors,
): void {
  const results = new Map<string, readonly StepResult[]>();
  const unreachable = new Map<string, string>();
  for (const host of query.hosts) {
    const known = run.cache.get(host.name, host.become, host.steps);
    if (known) results.set(host.name, known);
    else unreachable.set(host.name, 'not known yet');
  }
  const contexts = requesters.flatMap((requester) => {
    const { host, requests, broken } = requester;
    if (broken) return [];
    const asksItself = Object.values(requests).some((request) => !('fact' in request));
    if (asksItself && !results.has(host.name)) return [];
    const answers = query.answers(requester, results, unreachable);
    return answers.ok ? [{ host, context: taskContext(requester, answers.facts) }] : [];
  });
  const [first] = contexts;
  for (const { host, context } of contexts) {
    for (const probes of probesOf(run.tags, place, context, first?.host ?? host, errors)) {
      steps.add(probes.target, become, probes.steps);
    }
  }
}

function probesOf(
  tags: TagSelection,
  place: StagePlace,
  context: TaskContext<unknown, FactRequests>,
  first: InventoryHost,
  errors: RoleErrors,
): readonly { readonly target: string; readonly steps: readonly ProbeStep[] }[] {
  const use = new FactUse(context);
  try {
    const instances = instantiateTasks(place, use.context, tags, first);
    return [...new Set(instances.map(({ target }) => target))].map((target) => ({
      target,
      steps: checkSteps(instances, target),
    }));
  } catch (error) {
    errors.add(place, context.host.name, error, use);
    // What the stage refuses now it may not refuse when its time comes.
    return [];
  }
}

/** What is asked in one round: the steps of each session, each script once. */
class PrefetchRound {
  readonly #sessions = new Map<string, { name: string; become: boolean; steps: Map<string, ProbeStep> }>();

  addFacts({ hosts }: FactQuery): void {
    for (const { name, become, steps } of hosts) this.add(name, become, steps);
  }

  add(name: string, become: boolean, steps: readonly ProbeStep[]): void {
    const key = `${name} ${become}`;
    const session = this.#sessions.get(key) ?? { name, become, steps: new Map<string, ProbeStep>() };
    this.#sessions.set(key, session);
    for (const { title, script, timeout, capture = false, sharedProbe } of steps) {
      const text = script.reveal();
      if (session.steps.has(text)) continue;
      session.steps.set(text, { id: `a${session.steps.size}`, title, script, timeout, capture, sharedProbe });
    }
  }

  async send({ sender, roster, cache }: PrefetchContext, phase: 'facts' | 'check'): Promise<void> {
    await Promise.all(
      [...this.#sessions.values()].map(async ({ name, become, steps }) => {
        const host = roster.named(name);
        const unknown = [...steps.values()].filter((step) => !cache.has(name, become, step));
        if (host && unknown.length > 0) await sender.prefetch(host, unknown, { phase, become });
      }),
    );
  }
}
