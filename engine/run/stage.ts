/**
 * One stage of a role on the hosts of a batch: facts, tasks, check, change. The decisions are pure and made elsewhere
 * (questions, units, check, change); here is what is sent to whom, and what became of it.
 */
import pLimit from 'p-limit';
import type { TaskStatus } from '../events.ts';
import type { FactRequests } from '../fact.ts';
import type { InventoryHost } from '../inventory/inventory.ts';
import type { BatchListener, Step, StepResult } from '../remote/session.ts';
import { PROBE_TIMEOUT, type Seed, type Upload } from '../resource.ts';
import type { Stage, TaskContext } from '../role.ts';
import {
  isNeeded,
  type Outcome,
  type Segment,
  SegmentScript,
  seedOf,
  segmentsOf,
  unconfirmed,
  uploadFailed,
  uploadOf,
} from './change.ts';
import { type Decision, decide, lastLines, probeSteps } from './check.ts';
import type { Errand, RunContext } from './context.ts';
import { askerOf, askFacts } from './facts.ts';
import { problemsOf } from './role-error.ts';
import type { Giver } from './seeds.ts';
import { hasResource, type StagePlace, type Unit, unitsOf, verdictOf } from './units.ts';
import { WholeLines } from './whole-lines.ts';

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
  const contexts = await askFacts(
    run,
    hosts.map((host) => askerOf(host, run.ask(host, call, playHosts), call.role.name, stage.facts)),
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
  readonly #diffs = new Map<Unit, string>();
  /** Settles when it is known what the host has already. Never rejects. */
  readonly checked: Promise<void>;
  #isChecked: () => void = () => {};
  /** The same of all hosts of the stage. */
  #othersChecked: Promise<unknown> | undefined;

  constructor(run: RunContext, place: StagePlace, host: InventoryHost) {
    this.#run = run;
    this.#place = place;
    this.#host = host;
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
    let units: readonly Unit[];
    try {
      units = unitsOf(this.#place, context, run.options.tags, first);
    } catch (error) {
      for (const problem of problemsOf(error, this.#place.call.role.name)) {
        run.fail(this.#host, { ...problem, host: this.#host.name });
      }
      return;
    }
    const decisions = await this.#check(units);
    if (!decisions) return;
    this.#noteGivers(decisions);
    this.#isChecked();
    if (run.options.diff) await this.#detail(decisions);

    const refused = decisions.filter(({ what, unit }) => what === 'fail' && !unit.task.options.ignoreErrors);
    if (refused.length > 0 || run.options.check) {
      // A stage with a task that can't even be looked at changes nothing on this host.
      for (const decision of decisions) this.#report(decision, refused.length > 0);
      if (refused.length > 0) run.fail(this.#host);
      return;
    }
    await this.#change(decisions);
  }

  /** What is here already may be had from here. */
  #noteGivers(decisions: readonly Decision[]): void {
    for (const { unit, what } of decisions) {
      const seed = hasResource(unit) ? unit.task.action.seed : undefined;
      if (seed && what === 'nothing') this.#run.seeds.has(seed.key, this.#giver(unit.target, seed));
    }
  }

  #giver(host: string, { give }: Seed): Giver {
    return { host, become: this.#run.becomes(this.#place.play), give };
  }

  /** Probes of every target: one round trip each. */
  async #check(units: readonly Unit[]): Promise<readonly Decision[] | undefined> {
    const results: StepResult[] = [];
    for (const target of new Set(units.map((unit) => unit.target))) {
      const steps = probeSteps(units, target);
      if (steps.length === 0) continue;
      const answers = await this.#send(target, 'check', steps);
      if (!answers) return undefined;
      results.push(...answers);
    }
    return decide(units, results);
  }

  /** With `--diff`: what exactly differs, asked only where something does. */
  async #detail(decisions: readonly Decision[]): Promise<void> {
    const units = decisions
      .filter(({ what }) => what === 'change')
      .map(({ unit }) => unit)
      .filter(hasResource);
    for (const target of new Set(units.map((unit) => unit.target))) {
      const here = units.filter((unit) => unit.target === target && unit.task.action.detail);
      const steps = here.flatMap(({ key, task }): Step[] =>
        task.action.detail ? [{ id: key, script: task.action.detail.script, timeout: PROBE_TIMEOUT }] : [],
      );
      if (steps.length === 0) continue;
      const answers = await this.#send(target, 'diff', steps);
      for (const unit of here) {
        const answer = answers?.find(({ id }) => id === unit.key);
        const text = answer && (await unit.task.action.detail?.render(answer.stdout.toString()));
        if (text) this.#diffs.set(unit, text);
      }
    }
  }

  async #change(decisions: readonly Decision[]): Promise<void> {
    const run = this.#run;
    const segments = segmentsOf(decisions);
    const inSegment = new Set(segments.flatMap((segment) => segment.decisions));
    for (const decision of decisions) if (!inSegment.has(decision)) this.#report(decision, false);

    const notified = new Set<string>();
    let stopped = false;
    for (const segment of segments) {
      if (!stopped && !run.stopping && !isNeeded(segment, notified)) continue;
      if (stopped || run.stopping || !run.isIn(this.#host)) {
        this.#leave(segment);
        continue;
      }
      const outcomes = await this.#runSegment(segment);
      if (!outcomes) return;
      for (const { unit, status } of outcomes) {
        if (status === 'changed') for (const name of unit.notifies) notified.add(name);
        if (status === 'failed') stopped = true;
      }
    }
    if (stopped) run.fail(this.#host);
  }

  /** @returns undefined when the host is out. */
  async #runSegment(segment: Segment): Promise<readonly Outcome[] | undefined> {
    const { thing } = segment;
    if (thing === undefined) return this.#sendSegment(segment);
    const done = await this.#run.disruptions.exclusively(thing, async () => {
      const outcomes = await this.#sendSegment(segment);
      // No answer at all is no sign of health either.
      if (!outcomes || outcomes.some(({ status, unrecovered }) => unrecovered || status === 'failed')) {
        this.#run.disruptions.stop(thing, this.#host.name);
        this.#run.events.emit({ type: 'disruption-stopped', thing, host: this.#host.name });
      }
      return outcomes;
    });
    if ('value' in done) return done.value;
    this.#leave(segment);
    this.#run.fail(this.#host, {
      host: this.#host.name,
      what: `${thing} was not disrupted here, because it did not recover on ${done.stoppedBy}`,
      tryThis: `mend ${done.stoppedBy} first, then run again: what is left to do here will be done then`,
    });
    return undefined;
  }

  async #sendSegment(segment: Segment): Promise<readonly Outcome[] | undefined> {
    const [first] = segment.decisions;
    const upload = uploadOf(segment);
    if (first && upload) {
      const result = await this.#upload(segment.target, upload);
      if (!result) return undefined;
      if (this.#isLeft(result)) return this.#leave(segment);
      if (result.outcome !== 'ran' || result.exitCode !== 0) return this.#notSent(segment, first, result);
    }
    const seed = seedOf(segment);
    return first && seed ? this.#sendSeeded(segment, first, seed) : this.#sendChanges(segment);
  }

  /** Was the run stopped before what it is for has been sent whole, or while it was? */
  #isLeft({ outcome }: StepResult): boolean {
    return outcome === 'skipped' || (outcome === 'ran' && this.#run.stopping);
  }

  /** Changes nothing more of a segment: the user asked to stop, it may not be disrupted now, or `failed` failed. */
  #leave({ decisions }: Segment, failed?: Decision): readonly Outcome[] {
    for (const decision of decisions) {
      if (decision.what === 'change' && decision !== failed) this.#finish(decision.unit, 'not run');
    }
    return [];
  }

  /** What is to be sent before the first change of a segment was not taken. */
  #notSent(segment: Segment, first: Decision, result: StepResult): readonly Outcome[] {
    const outcome = this.#ended(uploadFailed(first, result));
    this.#leave(segment, first);
    return [outcome];
  }

  /** Where another host has what the first unit is to fetch, or is fetching it, it is had from there. */
  async #sendSeeded(segment: Segment, first: Decision, seed: Seed): Promise<readonly Outcome[] | undefined> {
    const { seeds, events, pool } = this.#run;
    const start = performance.now();
    const host = this.#host.name;
    const { unit } = first;
    const tell = (text: string): void => {
      events.emit({ type: 'task-output', host, task: unit.ref, stream: 'stdout', text: `${text}\n` });
    };
    events.emit({ type: 'task-started', host, task: unit.ref });
    await this.#othersChecked;
    const own = this.#giver(segment.target, seed);
    const { from, done } = await seeds.turn(seed.key, own, (whom) => tell(`waits for ${whom}`));
    try {
      if (from && !this.#run.stopping) {
        tell(`from ${from.host}`);
        const giver = this.#hostNamed(from.host);
        const content = () => pool.read(giver, from.become, from.give);
        const sent = await this.#upload(segment.target, { script: seed.take, content });
        if (!sent) return undefined;
        if (sent.outcome === 'interrupted') return this.#notSent(segment, first, sent);
        if (!this.#isLeft(sent) && (sent.outcome !== 'ran' || sent.exitCode !== 0)) {
          seeds.lost(seed.key, from);
          tell(`it could not be had from there: ${lastLines(sent.stderr) || sent.outcome}`);
        }
      }
      if (this.#run.stopping) return this.#leave(segment);
      const ms = Math.round(performance.now() - start);
      return await this.#sendChanges(segment, {
        unit,
        ms,
        ended: (status) => done(status === 'changed' || status === 'ok'),
      });
    } finally {
      done(false);
    }
  }

  /** @param begun The first unit, where it has been begun so many ms ago, and who waits for its end. */
  async #sendChanges(
    segment: Segment,
    begun?: { readonly unit: Unit; readonly ms: number; readonly ended: (status: TaskStatus) => void },
  ): Promise<readonly Outcome[] | undefined> {
    const script = new SegmentScript(segment);
    const units = new Map(segment.decisions.map(({ unit }) => [unit.key, unit]));
    const running = new Set<Unit>(begun ? [begun.unit] : []);
    const outcomes: Outcome[] = [];
    const toConfirm: Outcome[] = [];
    const { events } = this.#run;
    const unitOf = (id: string): Unit | undefined =>
      /\.(change|gate_before|gate_after)$/.test(id) ? units.get(id.split('.')[0] ?? '') : undefined;
    const lines = new Map<string, WholeLines>();
    const tell = (id: string, stream: 'stdout' | 'stderr', text: string): void => {
      const unit = unitOf(id);
      if (!unit || text === '') return;
      events.emit({ type: 'task-output', host: this.#host.name, task: unit.ref, stream, text });
    };
    const listener: BatchListener = {
      started: (id) => {
        const unit = unitOf(id);
        if (!unit || running.has(unit)) return;
        running.add(unit);
        events.emit({ type: 'task-started', host: this.#host.name, task: unit.ref });
      },
      output: (id, stream, chunk) => {
        const key = `${id} ${stream}`;
        const whole = lines.get(key) ?? new WholeLines();
        lines.set(key, whole);
        tell(id, stream, whole.feed(chunk));
      },
      finished: (result) => {
        for (const stream of ['stdout', 'stderr'] as const) {
          tell(result.id, stream, lines.get(`${result.id} ${stream}`)?.rest() ?? '');
        }
        const read = script.read(result);
        if (!read) return;
        const isBegun = read.unit === begun?.unit;
        const outcome = isBegun ? { ...read, ms: read.ms + begun.ms } : read;
        if (isBegun) begun.ended(outcome.status);
        if (outcome.status === 'changed' && hasResource(outcome.unit) && outcome.unit.task.action.confirm) {
          toConfirm.push(outcome);
        } else outcomes.push(this.#ended(outcome));
      },
    };
    const answered = await this.#send(segment.target, 'change', script.steps, listener);
    if (toConfirm.length > 0) {
      for (const outcome of await this.#confirm(segment.target, toConfirm)) outcomes.push(this.#ended(outcome));
    }
    return answered && outcomes;
  }

  /** Proves over one new connection that the changes did not close the way in. */
  async #confirm(target: string, outcomes: readonly Outcome[]): Promise<readonly Outcome[]> {
    const steps = outcomes.flatMap(({ unit }): Step[] => {
      const confirm = hasResource(unit) ? unit.task.action.confirm : undefined;
      return confirm ? [{ id: unit.key, script: confirm.script, timeout: PROBE_TIMEOUT }] : [];
    });
    const answers = await this.#run.pool.afresh(this.#hostNamed(target), this.#run.becomes(this.#place.play), steps);
    return outcomes.map((outcome) => {
      if ('what' in answers) return unconfirmed(outcome, `no new connection comes through (${answers.what})`);
      const answer = answers.find(({ id }) => id === outcome.unit.key);
      return answer?.outcome === 'ran' && answer.exitCode === 0
        ? outcome
        : unconfirmed(outcome, 'its confirmation came too late');
    });
  }

  #ended(outcome: Outcome): Outcome {
    this.#finish(outcome.unit, outcome.status, outcome);
    return outcome;
  }

  #hostNamed(name: string): InventoryHost {
    const host = this.#run.hostNamed(name);
    if (!host)
      throw new Error(`role ${this.#place.call.role.name} delegates to ${name}, which is not in the inventory`);
    return host;
  }

  async #send(
    target: string,
    phase: 'check' | 'diff' | 'change',
    steps: readonly Step[],
    listener?: BatchListener,
  ): Promise<readonly StepResult[] | undefined> {
    const results = await this.#run.send(this.#hostNamed(target), steps, this.#errand(phase), listener);
    if (!results) this.#outOfReach(target);
    return results;
  }

  async #upload(target: string, upload: Upload): Promise<StepResult | undefined> {
    const result = await this.#run.upload(this.#hostNamed(target), upload, this.#errand('change'));
    if (!result) this.#outOfReach(target);
    return result;
  }

  #errand(phase: 'check' | 'diff' | 'change'): Errand {
    const { play, call, stage } = this.#place;
    return { phase, become: this.#run.becomes(play), role: call.role.name, stage: stage.name };
  }

  /** A host that a task was delegated to does not answer: the task's own host is out too. */
  #outOfReach(target: string): void {
    if (target === this.#host.name) return;
    const why = this.#run.pool.whyUnreachable(target);
    this.#run.fail(this.#host, {
      host: this.#host.name,
      what: `a task is delegated to ${target}, which can't be reached${why ? `: ${why.what}` : ''}`,
    });
  }

  /** A unit whose fate is known without the change phase. */
  #report(decision: Decision, refused: boolean): void {
    const status = ((): TaskStatus => {
      switch (decision.what) {
        case 'nothing':
          return 'ok';
        case 'skip':
          return 'skipped';
        case 'fail':
          return decision.unit.task.options.ignoreErrors ? 'ignored' : 'failed';
        case 'change':
          if (refused && !this.#run.options.check) return 'not run';
          // A wait changes nothing; in check mode it is not waited for.
          return hasResource(decision.unit) && decision.unit.task.action.changesNothing ? 'skipped' : 'would change';
      }
    })();
    // A handler that nobody notified did not happen.
    if (decision.unit.owed !== undefined && decision.what === 'nothing') return;
    const verdict = verdictOf(decision.unit);
    if (verdict) {
      const { id, evidence, what, allowed, tryThis } = verdict;
      this.#run.events.emit({
        type: 'verdict',
        host: this.#host.name,
        role: this.#place.call.role.name,
        check: id,
        verdict: verdict.verdict,
        evidence,
        problem: what === undefined ? undefined : { what, allowed, tryThis, host: this.#host.name },
      });
    }
    this.#finish(decision.unit, status, decision);
  }

  #finish(
    unit: Unit,
    status: TaskStatus,
    known: { readonly found?: Outcome['found']; readonly failure?: Outcome['failure']; readonly ms?: number } = {},
  ): void {
    this.#run.count(this.#host, status);
    const { action } = unit.task;
    this.#run.events.emit({
      type: 'task-finished',
      host: this.#host.name,
      task: status === 'failed' || status === 'ignored' ? { ...unit.ref, at: unit.task.at } : unit.ref,
      status,
      ms: known.ms ?? 0,
      found: known.found,
      wanted: hasResource(unit) && status !== 'skipped' && 'wanted' in action ? action.wanted : undefined,
      diff: this.#diffs.get(unit),
      failure: known.failure,
    });
  }
}
