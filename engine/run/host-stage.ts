/** One host's way through a stage, once its facts are known: tasks, check, diff, change. */
import type { EventStream } from '../event-stream.ts';
import type { FactRequests } from '../fact.ts';
import type { InventoryHost } from '../inventory/inventory.ts';
import type { Step, StepResult } from '../remote/session.ts';
import { PROBE_TIMEOUT } from '../resource.ts';
import type { TaskContext } from '../role.ts';
import { roleProblems } from '../role-problems.ts';
import { ChangeRunner } from './change-runner.ts';
import type { ExclusiveLocks } from './exclusive-locks.ts';
import type { Interruption } from './plan/run-options.ts';
import type { TagSelection } from './plan/tags.ts';
import { RemoteMarks } from './remote-marks.ts';
import { type ReporterContext, TaskReporter } from './report/task-reporter.ts';
import type { PeerSources } from './sessions/peer-sources.ts';
import { StageSender, type StageSenderContext } from './stage-sender.ts';
import { checkSteps, type Decision, decide } from './tasks/check-phase.ts';
import { callbackFailure } from './tasks/failures.ts';
import type { Outcome } from './tasks/outcomes.ts';
import { prepareChanges } from './tasks/prepare-changes.ts';
import { isNeeded, type Segment, segmentsOf } from './tasks/segments.ts';
import { hasResource, instantiateTasks, type StagePlace, type TaskInstance } from './tasks/task-instances.ts';

/** What {@link HostStage} needs of a run. */
export interface HostStageContext extends StageSenderContext, ReporterContext {
  readonly events: EventStream;
  readonly interruption: Interruption;
  readonly tags: TagSelection;
  /** `--diff`: show what exactly differs. */
  readonly isDiff: boolean;
  readonly locks: ExclusiveLocks;
  readonly peers: PeerSources;
}

/** One host in a stage. */
export class HostStage {
  readonly #run: HostStageContext;
  readonly #place: StagePlace;
  readonly #host: InventoryHost;
  readonly #sender: StageSender;
  readonly #reporter: TaskReporter;
  /** Settles when it is known what the host has already. Never rejects. */
  readonly checked: Promise<void>;
  #setChecked: () => void = () => {};
  /** The same of all hosts of the stage. */
  #othersChecked: Promise<unknown> | undefined;

  constructor(run: HostStageContext, place: StagePlace, host: InventoryHost) {
    this.#run = run;
    this.#place = place;
    this.#host = host;
    this.#sender = new StageSender(run, place, host);
    this.#reporter = new TaskReporter(run, place, host);
    this.checked = new Promise((resolve) => {
      this.#setChecked = resolve;
    });
  }

  /**
   * Runs the stage on the host.
   * @param first The host that does what is to be done once.
   */
  async run(
    context: TaskContext<unknown, FactRequests>,
    first: InventoryHost,
    othersChecked: Promise<unknown> | undefined,
  ): Promise<void> {
    this.#othersChecked = othersChecked;
    try {
      if (this.#run.interruption.requested) return;
      const decisions = await this.#check(context, first);
      this.#setChecked();
      if (decisions) await this.#change(decisions);
    } finally {
      this.#setChecked();
    }
  }

  /**
   * @returns what is to be changed; undefined where nothing is: the host is out, a task is refused, or it is check
   * mode.
   */
  async #check(
    context: TaskContext<unknown, FactRequests>,
    first: InventoryHost,
  ): Promise<readonly Decision[] | undefined> {
    const { tags, roster, isDiff, isCheck } = this.#run;
    let instances: readonly TaskInstance[];
    try {
      instances = instantiateTasks(this.#place, context, tags, first);
    } catch (error) {
      for (const problem of roleProblems(error, this.#place.call.role.name)) roster.fail(this.#host, problem);
      return undefined;
    }
    const found = await this.#probe(instances);
    if (!found) return undefined;
    this.#addPeerSources(found);
    this.#setChecked();
    const decisions = isDiff ? await this.#withDiffs(found) : found;
    return this.#refused(decisions) || isCheck ? this.#reportAll(decisions) : decisions;
  }

  /** A stage with a task that can't be done changes nothing on the host. */
  #refused(decisions: readonly Decision[]): boolean {
    return decisions.some(({ what, instance }) => what === 'fail' && !instance.task.options.ignoreErrors);
  }

  #reportAll(decisions: readonly Decision[]): undefined {
    const isRefused = this.#refused(decisions);
    for (const decision of decisions) this.#reporter.report(decision, isRefused);
    if (isRefused) this.#run.roster.fail(this.#host);
  }

  /** What is as wanted here, others may get from here. */
  #addPeerSources(decisions: readonly Decision[]): void {
    for (const { instance, what } of decisions) {
      const source = hasResource(instance) ? instance.task.action.peerSource : undefined;
      if (source && what === 'nothing') {
        this.#run.peers.add(source.key, this.#sender.peerHost(instance.target, source));
      }
    }
  }

  /** The probes of every target: one round trip each. */
  async #probe(instances: readonly TaskInstance[]): Promise<readonly Decision[] | undefined> {
    const results = new Map<string, readonly StepResult[]>();
    for (const target of new Set(instances.map((instance) => instance.target))) {
      const steps = checkSteps(instances, target);
      if (steps.length === 0) continue;
      const answers = await this.#sender.send(target, 'check', steps);
      if (!answers) return undefined;
      results.set(target, answers);
    }
    return decide(instances, results);
  }

  /** With `--diff`: what exactly differs, asked only where something does. */
  async #withDiffs(decisions: readonly Decision[]): Promise<readonly Decision[]> {
    const failed = new Map<TaskInstance, Decision['failure']>();
    const differing = decisions.flatMap(({ instance, what }) =>
      what === 'change' && hasResource(instance) ? instance : [],
    );
    for (const target of new Set(differing.map((instance) => instance.target))) {
      const here = differing.filter((instance) => instance.target === target);
      const steps = here.flatMap(({ key, task: { action } }): Step[] =>
        action.detail ? [{ id: key, script: action.detail.script, timeout: PROBE_TIMEOUT }] : [],
      );
      if (steps.length === 0) continue;
      const results = await this.#sender.send(target, 'diff', steps);
      for (const instance of here) {
        const result = results?.find(({ id }) => id === instance.key);
        if (!result) continue;
        try {
          const text = await instance.task.action.detail?.render(result.stdout.toString());
          if (text) this.#reporter.diffs.set(instance, text);
        } catch (error) {
          const { kind, id } = instance.task.action;
          failed.set(instance, callbackFailure(error, `render of ${kind} ${id}`, instance.ref.role));
        }
      }
    }
    return decisions.map((decision) => {
      const failure = failed.get(decision.instance);
      return failure ? { ...decision, what: 'fail', failure } : decision;
    });
  }

  async #change(found: readonly Decision[]): Promise<void> {
    const { interruption, roster, peers } = this.#run;
    const decisions = prepareChanges(found);
    if (this.#refused(decisions)) return this.#reportAll(decisions);
    const segments = segmentsOf(decisions);
    const inSegment = new Set<Decision>(segments.flatMap((segment) => segment.decisions));
    for (const decision of decisions) if (!inSegment.has(decision)) this.#reporter.report(decision, false);

    const notified = new Set<string>();
    let isStopped = false;
    for (const segment of segments) {
      if (!isStopped && !interruption.requested && !isNeeded(segment, notified)) continue;
      const context = { interruption, peers, sender: this.#sender, reporter: this.#reporter };
      const runner = new ChangeRunner(context, segment);
      if (isStopped || interruption.requested || !roster.isActive(this.#host)) {
        runner.skip();
        continue;
      }
      const outcomes = await this.#runSegment(segment, runner);
      if (!outcomes) return;
      for (const { instance, status } of outcomes) {
        if (status === 'changed') for (const { name } of instance.notifies) notified.add(name);
        if (status === 'failed') isStopped = true;
      }
    }
    if (isStopped) roster.fail(this.#host);
  }

  /** Runs a segment, under its lock where it has one. @returns undefined when the host is out. */
  async #runSegment(segment: Segment, runner: ChangeRunner): Promise<readonly Outcome[] | undefined> {
    const { locks, events, roster } = this.#run;
    const { lock } = segment;
    const marks = new RemoteMarks(this.#sender, segment);
    const marked = await marks.mark();
    if (marked !== 'written') {
      runner.skip();
      if (marked !== 'stopped') roster.fail(this.#host, marked);
      return marked === 'stopped' ? [] : undefined;
    }
    const run = async (): Promise<readonly Outcome[] | undefined> => {
      const outcomes = await runner.run(this.#othersChecked);
      if (outcomes) await marks.clearUnused(outcomes);
      return outcomes;
    };
    if (lock === undefined) return run();
    const done = await locks.exclusively(lock, async () => {
      const outcomes = await run();
      // No answer at all is no sign of health either.
      if (!outcomes || outcomes.some(({ status, isUnhealthy }) => isUnhealthy || status === 'failed')) {
        locks.stop(lock, this.#host.name);
        events.emit({ type: 'health-check-failed', lock, host: this.#host.name });
      }
      return outcomes;
    });
    if ('value' in done) return done.value;
    runner.skip();
    await marks.clearUnused([]);
    roster.fail(this.#host, {
      what: `not changed here, since ${lock} did not recover on ${done.stoppedBy}`,
      hint: `mend ${done.stoppedBy} first, then run again`,
    });
    return undefined;
  }
}
