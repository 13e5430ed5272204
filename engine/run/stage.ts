/**
 * One stage of a role on the hosts of a batch: facts, tasks, check, change. The decisions are pure and made elsewhere
 * (questions, instances, check, change); here is what follows what.
 */
import pLimit from 'p-limit';
import type { FactRequests } from '../fact.ts';
import type { InventoryHost } from '../inventory/inventory.ts';
import type { Step, StepResult } from '../remote/session.ts';
import { PROBE_TIMEOUT } from '../resource.ts';
import type { Stage, TaskContext } from '../role.ts';
import { roleProblems } from '../role-problems.ts';
import { ChangeRunner } from './change-runner.ts';
import type { RunContext } from './context.ts';
import { gatherFacts, requesterOf } from './facts/gather-facts.ts';
import { TaskReporter } from './report/task-reporter.ts';
import { StageSender } from './stage-sender.ts';
import { isNeeded, type Outcome, segmentsOf } from './tasks/change.ts';
import { checkSteps, type Decision, decide } from './tasks/check-phase.ts';
import { hasResource, instantiateTasks, type StagePlace, type TaskInstance } from './tasks/task-instances.ts';

/**
 * Runs a stage on `hosts`, those of them that are still in the run; they leave it where something fails.
 * @param once The host that does what is to be done once, by stage: the first of those that got there first.
 */
export async function runStage(
  run: RunContext,
  place: StagePlace,
  hosts: readonly InventoryHost[],
  playHosts: readonly InventoryHost[],
  once: Map<Stage<unknown>, InventoryHost>,
): Promise<void> {
  const { play, call, stage } = place;
  run.events.emit({
    type: 'stage-started',
    play: play.name,
    role: call.role.name,
    stage: stage.name,
    hosts: hosts.map(({ name }) => name),
  });
  const contexts = await gatherFacts(
    run,
    hosts.map((host) => requesterOf(host, run.ask(host, call, playHosts), call.role.name, stage.facts)),
    { phase: 'facts', become: run.becomes(play), role: call.role.name, stage: stage.name },
  );
  const [asker] = contexts.keys();
  const first = once.get(stage) ?? asker?.host;
  if (first) once.set(stage, first);
  const limit = pLimit(play.throttle ?? Number.POSITIVE_INFINITY);
  const ways = [...contexts].map(([{ host }, context]) => ({ way: new HostStage(run, place, host), host, context }));
  // Throttled, those behind are not even looked at yet.
  const checked = play.throttle === undefined ? Promise.all(ways.map(({ way }) => way.checked)) : undefined;
  await Promise.all(ways.map(({ way, host, context }) => limit(() => way.run(context, first ?? host, checked))));
}

/** One host's way through a stage, from tasks on. */
class HostStage {
  readonly #run: RunContext;
  readonly #place: StagePlace;
  readonly #host: InventoryHost;
  readonly #messenger: StageSender;
  readonly #telling: TaskReporter;
  /** Settles when it is known what the host has already. Never rejects. */
  readonly checked: Promise<void>;
  #isChecked: () => void = () => {};
  /** The same of all hosts of the stage. */
  #othersChecked: Promise<unknown> | undefined;

  constructor(run: RunContext, place: StagePlace, host: InventoryHost) {
    this.#run = run;
    this.#place = place;
    this.#host = host;
    this.#messenger = new StageSender(run, place, host);
    this.#telling = new TaskReporter(run, place, host);
    this.checked = new Promise((resolve) => {
      this.#isChecked = resolve;
    });
  }

  async run(
    context: TaskContext<unknown, FactRequests>,
    first: InventoryHost,
    othersChecked: Promise<unknown> | undefined,
  ): Promise<void> {
    this.#othersChecked = othersChecked;
    try {
      if (!this.#run.stopping) await this.#go(context, first);
    } finally {
      this.#isChecked();
    }
  }

  async #go(context: TaskContext<unknown, FactRequests>, first: InventoryHost): Promise<void> {
    const run = this.#run;
    let instances: readonly TaskInstance[];
    try {
      instances = instantiateTasks(this.#place, context, run.options.tags, first);
    } catch (error) {
      for (const problem of roleProblems(error, this.#place.call.role.name)) {
        run.fail(this.#host, { ...problem, host: this.#host.name });
      }
      return;
    }
    const decisions = await this.#check(instances);
    if (!decisions) return;
    this.#noteGivers(decisions);
    this.#isChecked();
    if (run.options.diff) await this.#detail(decisions);

    const refused = decisions.filter(({ what, instance }) => what === 'fail' && !instance.task.options.ignoreErrors);
    if (refused.length > 0 || run.options.check) {
      // A stage with a task that can't even be looked at changes nothing on this host.
      for (const decision of decisions) this.#telling.report(decision, refused.length > 0);
      if (refused.length > 0) run.fail(this.#host);
      return;
    }
    await this.#change(decisions);
  }

  /** What is here already may be had from here. */
  #noteGivers(decisions: readonly Decision[]): void {
    for (const { instance, what } of decisions) {
      const seed = hasResource(instance) ? instance.task.action.peerSource : undefined;
      if (seed && what === 'nothing') this.#run.seeds.add(seed.key, this.#messenger.sourceOn(instance.target, seed));
    }
  }

  /** Probes of every target: one round trip each. */
  async #check(instances: readonly TaskInstance[]): Promise<readonly Decision[] | undefined> {
    const results: StepResult[] = [];
    for (const target of new Set(instances.map((instance) => instance.target))) {
      const steps = checkSteps(instances, target);
      if (steps.length === 0) continue;
      const answers = await this.#messenger.send(target, 'check', steps);
      if (!answers) return undefined;
      results.push(...answers);
    }
    return decide(instances, results);
  }

  /** With `--diff`: what exactly differs, asked only where something does. */
  async #detail(decisions: readonly Decision[]): Promise<void> {
    const instances = decisions
      .filter(({ what }) => what === 'change')
      .map(({ instance }) => instance)
      .filter(hasResource);
    for (const target of new Set(instances.map((instance) => instance.target))) {
      const here = instances.filter((instance) => instance.target === target && instance.task.action.detail);
      const steps = here.flatMap(({ key, task }): Step[] =>
        task.action.detail ? [{ id: key, script: task.action.detail.script, timeout: PROBE_TIMEOUT }] : [],
      );
      if (steps.length === 0) continue;
      const answers = await this.#messenger.send(target, 'diff', steps);
      for (const instance of here) {
        const answer = answers?.find(({ id }) => id === instance.key);
        const text = answer && (await instance.task.action.detail?.render(answer.stdout.toString()));
        if (text) this.#telling.diffs.set(instance, text);
      }
    }
  }

  async #change(decisions: readonly Decision[]): Promise<void> {
    const run = this.#run;
    const segments = segmentsOf(decisions);
    const inSegment = new Set(segments.flatMap((segment) => segment.decisions));
    for (const decision of decisions) if (!inSegment.has(decision)) this.#telling.report(decision, false);

    const notified = new Set<string>();
    let stopped = false;
    for (const segment of segments) {
      if (!stopped && !run.stopping && !isNeeded(segment, notified)) continue;
      const segmentRun = new ChangeRunner(run, this.#host, segment, this.#messenger, this.#telling);
      if (stopped || run.stopping || !run.isIn(this.#host)) {
        segmentRun.leave();
        continue;
      }
      const outcomes = await this.#make(segmentRun, segment.lock);
      if (!outcomes) return;
      for (const { instance, status } of outcomes) {
        if (status === 'changed') for (const name of instance.notifies) notified.add(name);
        if (status === 'failed') stopped = true;
      }
    }
    if (stopped) run.fail(this.#host);
  }

  /**
   * Makes a segment's changes, those that disrupt `lock` while no other host disrupts it.
   * @returns undefined when the host is out.
   */
  async #make(segment: ChangeRunner, lock: string | undefined): Promise<readonly Outcome[] | undefined> {
    if (lock === undefined) return segment.send(this.#othersChecked);
    const done = await this.#run.disruptions.exclusively(lock, async () => {
      const outcomes = await segment.send(this.#othersChecked);
      // No answer at all is no sign of health either.
      if (!outcomes || outcomes.some(({ status, unhealthyLock }) => unhealthyLock || status === 'failed')) {
        this.#run.disruptions.stop(lock, this.#host.name);
        this.#run.events.emit({ type: 'health-check-failed', lock, host: this.#host.name });
      }
      return outcomes;
    });
    if ('value' in done) return done.value;
    segment.leave();
    this.#run.fail(this.#host, {
      host: this.#host.name,
      what: `${lock} was not disrupted here, because it did not recover on ${done.stoppedBy}`,
      hint: `mend ${done.stoppedBy} first, then run again: what is left to do here will be done then`,
    });
    return undefined;
  }
}
