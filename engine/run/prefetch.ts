/**
 * The rehearsal: what the whole run is going to ask is asked at once, before its first play. Until something differs nothing has
 * changed, so all plays' facts and probes are one script each per host, and a run that finds nothing to do is over with that:
 * plays, roles and stages then find every answer in the run's {@link Foresight}. The first change ends it, and from there on
 * each stage asks for itself. Nothing is decided here, and nothing said but of mistakes that no fact excuses; what can't be computed
 * yet is left to its own time.
 */
import type { FactRequests } from '../fact.ts';
import type { InventoryHost } from '../inventory/inventory.ts';
import type { StepResult } from '../remote/session.ts';
import type { TaskContext } from '../role.ts';
import type { PlayRun, RunContext } from './context.ts';
import { contextOf, FactQuery, type Requester, requesterOf } from './facts/gather-facts.ts';
import { batches } from './plan/batches.ts';
import { checksBecome, preflightChecks } from './preflight-checks.ts';
import { FactUse, RoleErrors } from './role-errors.ts';
import { checkSteps } from './tasks/check-phase.ts';
import type { ProbeStep } from './tasks/shared-probes.ts';
import { instantiateTasks, type StagePlace, selectedCalls } from './tasks/task-instances.ts';

/** A stage, on the hosts of a batch, as it will come if nothing changes before. */
interface PlannedStage {
  readonly place: StagePlace;
  readonly become: boolean;
  readonly askers: readonly Requester[];
  readonly inquiry: FactQuery;
  /** The round in which its facts are asked; its probes are, in the one after. */
  readonly round: number;
}

/**
 * Asks ahead all that the plays will ask, as far as it can be known without changing anything.
 * @throws UserError of the mistakes in roles that no fact excuses.
 */
export async function prefetch(run: RunContext, plays: readonly PlayRun[]): Promise<void> {
  const mistakes = new RoleErrors(plays);
  const scenes = plays.flatMap((playRun) => plannedStages(run, playRun, mistakes));
  mistakes.throwIfAny();
  const last = Math.max(0, ...scenes.map(({ round }) => round + 1));
  for (let round = 0; round <= last; round++) {
    const questions = new PrefetchRound();
    // Facts before probes, the checks' first of all: some of them tell a time.
    if (round === 0) questions.addFacts(new FactQuery(preflightChecks(run, plays), checksBecome(run, plays)));
    for (const scene of scenes) if (scene.round === round) questions.addFacts(scene.inquiry);
    for (const scene of scenes) if (scene.round === round - 1) addProbes(run, scene, questions, mistakes);
    mistakes.throwIfAny();
    await questions.ask(run, round === 0 ? 'facts' : 'check');
    if (run.stopping) return;
  }
}

function plannedStages(run: RunContext, { play, hosts }: PlayRun, mistakes: RoleErrors): readonly PlannedStage[] {
  const become = run.becomes(play);
  const calls = selectedCalls(play, run.options.tags);
  return batches(hosts, play.serial).flatMap((batch) =>
    calls.flatMap((call) => {
      let round = 0;
      return run.bodyOf(call).stages.map((stage): PlannedStage => {
        if (stage.afterFacts) round++;
        const place = { play, call, stage };
        const askers = batch.map((host) => {
          const ask = run.ask(host, call, hosts);
          const watched = new FactUse(ask);
          const asker = requesterOf(host, watched.context, call.role.name, stage.facts);
          if (asker.broken) mistakes.add(place, host.name, asker.broken.error, watched);
          return { ...asker, ask };
        });
        return { place, become, askers, inquiry: new FactQuery(askers, become), round };
      });
    }),
  );
}

/** The probes of a scene's tasks, for those hosts whose facts are known. */
function addProbes(
  run: RunContext,
  { place, become, askers, inquiry }: PlannedStage,
  questions: PrefetchRound,
  mistakes: RoleErrors,
): void {
  const results = new Map<string, readonly StepResult[]>();
  const unreachable = new Map<string, string>();
  for (const { name, become, steps } of inquiry.hosts) {
    const known = run.foresight.get(name, become, steps);
    if (known) results.set(name, known);
    else unreachable.set(name, 'not known yet');
  }
  const contexts = askers.flatMap((asker) => {
    const { host, requests, broken } = asker;
    if (broken) return [];
    const asksItself = Object.values(requests).some((request) => !('fact' in request));
    if (asksItself && !results.has(host.name)) return [];
    const answers = inquiry.answers(asker, results, unreachable);
    return answers.ok ? [{ host, context: contextOf(asker, answers.facts) }] : [];
  });
  const [first] = contexts;
  for (const { host, context } of contexts) {
    for (const { target, steps } of probesOf(run, place, context, first?.host ?? host, mistakes)) {
      questions.add(target, become, steps);
    }
  }
}

function probesOf(
  run: RunContext,
  place: StagePlace,
  context: TaskContext<unknown, FactRequests>,
  first: InventoryHost,
  mistakes: RoleErrors,
): readonly { readonly target: string; readonly steps: readonly ProbeStep[] }[] {
  const watched = new FactUse(context);
  try {
    const instances = instantiateTasks(place, watched.context, run.options.tags, first);
    return [...new Set(instances.map(({ target }) => target))].map((target) => ({
      target,
      steps: checkSteps(instances, target),
    }));
  } catch (error) {
    mistakes.add(place, context.host.name, error, watched);
    // What the stage refuses is said in its own time, when it may not refuse any more.
    return [];
  }
}

/** What is asked in one round: a batch per session, each script once. */
class PrefetchRound {
  readonly #sessions = new Map<string, { name: string; become: boolean; steps: Map<string, ProbeStep> }>();

  addFacts({ hosts }: FactQuery): void {
    for (const { name, become, steps } of hosts) this.add(name, become, steps);
  }

  add(name: string, become: boolean, steps: readonly ProbeStep[]): void {
    const key = `${name} ${become}`;
    const session = this.#sessions.get(key) ?? { name, become, steps: new Map<string, ProbeStep>() };
    this.#sessions.set(key, session);
    for (const { script, timeout, capture = false, sharedProbe } of steps) {
      const text = script.reveal();
      if (session.steps.has(text)) continue;
      session.steps.set(text, { id: `a${session.steps.size}`, script, timeout, capture, sharedProbe });
    }
  }

  async ask(run: RunContext, phase: 'facts' | 'check'): Promise<void> {
    await Promise.all(
      [...this.#sessions.values()].map(async ({ name, become, steps }) => {
        const host = run.hostNamed(name);
        const unknown = [...steps.values()].filter((step) => !run.foresight.has(name, become, step));
        if (host && unknown.length > 0) await run.sendAhead(host, unknown, { phase, become });
      }),
    );
  }
}
