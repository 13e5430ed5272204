/**
 * Runs one segment of a host's change phase: sends its uploads, runs its script, confirms it over a new connection.
 * What the steps are and what their results mean is decided in tasks/.
 */
import type { TaskStatus } from '../events.ts';
import type { Step, StepListener, StepResult } from '../remote/session.ts';
import { type PeerSource, PROBE_TIMEOUT } from '../resource.ts';
import type { Interruption } from './plan/run-options.ts';
import { LineBuffer } from './report/line-buffer.ts';
import type { TaskReporter } from './report/task-reporter.ts';
import type { PeerSources } from './sessions/peer-sources.ts';
import type { StageSender } from './stage-sender.ts';
import { CallbackError, lastLines } from './tasks/failures.ts';
import { callbackFailed, type Outcome, unconfirmed, uploadFailed } from './tasks/outcomes.ts';
import type { PreparedDecision } from './tasks/prepare-changes.ts';
import { SegmentScript } from './tasks/segment-script.ts';
import { peerSourceOf, type Segment } from './tasks/segments.ts';
import type { TaskInstance } from './tasks/task-instances.ts';

/** What {@link ChangeRunner} needs of a run, and of its host's stage. */
export interface ChangeContext {
  readonly interruption: Interruption;
  readonly peers: PeerSources;
  readonly sender: StageSender;
  readonly reporter: TaskReporter;
}

/** The first task of a segment, where it is reported as started before the segment's script is sent. */
interface Started {
  readonly instance: TaskInstance;
  /** Milliseconds since. */
  readonly ms: number;
  readonly onEnd: (status: TaskStatus) => void;
}

/** An upload, and whose change it is for. */
type PendingUpload = PreparedDecision & { readonly upload: NonNullable<PreparedDecision['upload']> };

const isPendingUpload = (decision: PreparedDecision): decision is PendingUpload => decision.upload !== undefined;
const isSuccess = ({ outcome, exitCode }: StepResult): boolean => outcome === 'ran' && exitCode === 0;

/** Runs a segment. */
export class ChangeRunner {
  readonly #run: ChangeContext;
  readonly #segment: Segment;

  constructor(run: ChangeContext, segment: Segment) {
    this.#run = run;
    this.#segment = segment;
  }

  /**
   * Makes the segment's changes.
   * @param othersChecked Settles when it is known what the other hosts have already.
   * @returns what became of them, without those that were not run; undefined when the host is out.
   */
  async run(othersChecked: Promise<unknown> | undefined): Promise<readonly Outcome[] | undefined> {
    const [first] = this.#segment.decisions;
    const uploads = this.#segment.decisions.filter(isPendingUpload);
    if (uploads.length > 0) return this.#runWithUploads(uploads);
    const source = peerSourceOf(this.#segment);
    return first && source ? this.#runWithPeer(first, source, othersChecked) : this.#runScript(this.#segment);
  }

  /** Reports changes as not run: the user asked to stop, the lock is not to be had, or another change failed. */
  skip(decisions: readonly PreparedDecision[] = this.#segment.decisions): readonly Outcome[] {
    for (const { instance, what } of decisions) if (what === 'change') this.#run.reporter.finish(instance, 'not run');
    return [];
  }

  get #isStopping(): boolean {
    return this.#run.interruption.requested !== undefined;
  }

  /** Was the run stopped before a content was sent whole, or while it was? */
  #isCut({ outcome }: StepResult): boolean {
    return outcome === 'skipped' || (outcome === 'ran' && this.#isStopping);
  }

  /** A content could not be sent: its change fails, and all others but `made` are not run. */
  #failUpload(
    failed: PreparedDecision,
    result: StepResult,
    made: readonly PreparedDecision[] = [],
  ): readonly Outcome[] {
    const outcome = this.#finish(uploadFailed(failed, result));
    this.skip(this.#segment.decisions.filter((decision) => decision !== failed && !made.includes(decision)));
    return [outcome];
  }

  /** Code of a resource failed: its change fails, the others of the segment are not run. */
  #failSegment(segment: Segment, { instance, failure }: CallbackError): readonly Outcome[] {
    this.skip(segment.decisions.filter((decision) => decision.instance !== instance));
    return segment.decisions
      .filter((decision) => decision.instance === instance)
      .map((decision) => this.#finish(callbackFailed(decision, failure)));
  }

  async #runWithUploads(uploads: readonly PendingUpload[]): Promise<readonly Outcome[] | undefined> {
    const { target, decisions } = this.#segment;
    const results = await this.#run.sender.upload(
      target,
      uploads.map(({ upload }) => upload),
    );
    if (!results) return undefined;
    const sent = uploads.flatMap((decision, i) => {
      const result = results[i];
      return result ? [{ decision, result }] : [];
    });
    const cut = sent.find(({ result }) => result.outcome === 'interrupted');
    if (cut) return this.#failUpload(cut.decision, cut.result);
    if (results.some((result) => this.#isCut(result))) return this.skip();
    const failed = sent.find(({ result }) => !isSuccess(result));
    if (!failed) return this.#runScript(this.#segment);
    // The changes before it are made all the same, as if the contents had been sent one after the other.
    const before = decisions.slice(
      0,
      decisions.findIndex(({ instance }) => instance === failed.decision.instance),
    );
    const made = await this.#runScript({ ...this.#segment, decisions: before });
    if (!made) return undefined;
    if (made.length < before.length || made.some(({ status }) => status === 'failed')) {
      this.skip(decisions.slice(before.length));
      return made;
    }
    if (!failed.decision.instance.task.options.ignoreErrors) {
      return [...made, ...this.#failUpload(failed.decision, failed.result, before)];
    }
    const ignored = this.#finish(uploadFailed(failed.decision, failed.result));
    const rest = await this.#runScript({ ...this.#segment, decisions: decisions.slice(before.length + 1) });
    return rest && [...made, ignored, ...rest];
  }

  /** Gets the content of the first change from another host that has it, or that is fetching it. */
  async #runWithPeer(
    first: PreparedDecision,
    source: PeerSource,
    othersChecked: Promise<unknown> | undefined,
  ): Promise<readonly Outcome[] | undefined> {
    const { peers, sender, reporter } = this.#run;
    const { target } = this.#segment;
    const { instance } = first;
    const start = performance.now();
    const say = (text: string): void => reporter.output(instance, `${text}\n`);
    reporter.start(instance);
    await othersChecked;
    let waited = false;
    const { from, release } = await peers.acquire(source.key, sender.peerHost(target, source), (whom) => {
      waited = true;
      say(`waits for ${whom}`);
    });
    if (waited) sender.reportWait(start);
    try {
      if (from && !this.#isStopping) {
        say(`from ${from.host}`);
        const [sent] = (await sender.upload(target, [sender.peerUpload(from, source.write)])) ?? [];
        if (!sent) return undefined;
        if (sent.outcome === 'interrupted') return this.#failUpload(first, sent);
        if (!this.#isCut(sent) && !isSuccess(sent)) {
          peers.remove(source.key, from);
          say(`${from.host} could not send it: ${lastLines(sent.stderr) || sent.outcome}`);
        }
      }
      if (this.#isStopping) return this.skip();
      const ms = Math.round(performance.now() - start);
      const onEnd = (status: TaskStatus): void => release(status === 'changed' || status === 'ok');
      return await this.#runScript(this.#segment, { instance, ms, onEnd });
    } finally {
      release(false);
    }
  }

  async #runScript(segment: Segment, started?: Started): Promise<readonly Outcome[] | undefined> {
    if (segment.decisions.length === 0) return [];
    let script: SegmentScript;
    try {
      script = new SegmentScript(segment);
    } catch (error) {
      if (error instanceof CallbackError) return this.#failSegment(segment, error);
      throw error;
    }
    const outcomes: Outcome[] = [];
    const toConfirm: Outcome[] = [];
    const listener = this.#listener(started, (result) => {
      const read = script.read(result);
      if (!read) return;
      const isStarted = read.instance === started?.instance;
      const outcome = isStarted ? { ...read, ms: read.ms + started.ms } : read;
      if (isStarted) started.onEnd(outcome.status);
      if (outcome.status === 'changed' && outcome.instance.task.action.confirm) toConfirm.push(outcome);
      else outcomes.push(this.#finish(outcome));
    });
    const results = await this.#run.sender.send(segment.target, 'change', script.steps, listener);
    if (toConfirm.length > 0) {
      for (const outcome of await this.#confirm(toConfirm)) outcomes.push(this.#finish(outcome));
    }
    return results && outcomes;
  }

  /** Reports tasks as they start and what they print, by whole lines; hands results on. */
  #listener(started: Started | undefined, finished: (result: StepResult) => void): StepListener {
    const instances = new Map(this.#segment.decisions.map(({ instance }) => [instance.key, instance]));
    const running = new Set<TaskInstance>(started ? [started.instance] : []);
    const lines = new Map<string, LineBuffer>();
    const instanceOf = (id: string): TaskInstance | undefined =>
      /\.(change|health_before|health_after)$/.test(id) ? instances.get(id.split('.')[0] ?? '') : undefined;
    const output = (id: string, stream: 'stdout' | 'stderr', text: string): void => {
      const instance = instanceOf(id);
      if (instance) this.#run.reporter.output(instance, text, stream);
    };
    return {
      started: (id) => {
        const instance = instanceOf(id);
        if (!instance || running.has(instance)) return;
        running.add(instance);
        this.#run.reporter.start(instance);
      },
      output: (id, stream, chunk) => {
        const key = `${id} ${stream}`;
        const buffer = lines.get(key) ?? new LineBuffer();
        lines.set(key, buffer);
        output(id, stream, buffer.feed(chunk));
      },
      finished: (result) => {
        for (const stream of ['stdout', 'stderr'] as const) {
          output(result.id, stream, lines.get(`${result.id} ${stream}`)?.rest() ?? '');
        }
        finished(result);
      },
    };
  }

  /** Proves over one new connection that the changes did not close the way in. */
  async #confirm(outcomes: readonly Outcome[]): Promise<readonly Outcome[]> {
    const steps = outcomes.flatMap(({ instance }): Step[] => {
      const { confirm } = instance.task.action;
      return confirm ? [{ id: instance.key, script: confirm.script, timeout: PROBE_TIMEOUT }] : [];
    });
    const results = await this.#run.sender.onNewConnection(this.#segment.target, steps);
    return outcomes.map((outcome) => {
      const decision = this.#segment.decisions.find(({ instance }) => instance === outcome.instance);
      if ('what' in results) return unconfirmed(outcome, decision, `no new connection comes through (${results.what})`);
      const result = results.find(({ id }) => id === outcome.instance.key);
      return result && isSuccess(result) ? outcome : unconfirmed(outcome, decision, 'its confirmation came too late');
    });
  }

  #finish(outcome: Outcome): Outcome {
    this.#run.reporter.finish(outcome.instance, outcome.status, outcome);
    return outcome;
  }
}
