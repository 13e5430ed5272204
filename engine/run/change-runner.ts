/**
 * One segment of a host's change phase as it is sent: what must be there before, its script, what proves it. What the steps
 * are and what their answers mean is decided in change.ts.
 */
import type { TaskStatus } from '../events.ts';
import type { InventoryHost } from '../inventory/inventory.ts';
import type { Step, StepListener, StepResult } from '../remote/session.ts';
import { type PeerSource, PROBE_TIMEOUT } from '../resource.ts';
import type { RunContext } from './context.ts';
import { LineBuffer } from './report/line-buffer.ts';
import type { TaskReporter } from './report/task-reporter.ts';
import type { StageSender } from './stage-sender.ts';
import {
  type Outcome,
  type PendingUpload,
  peerSourceOf,
  pendingUploads,
  type Segment,
  SegmentScript,
  unconfirmed,
  uploadFailed,
} from './tasks/change.ts';
import { type Decision, lastLines } from './tasks/check-phase.ts';
import { hasResource, type TaskInstance } from './tasks/task-instances.ts';

/** The first instance of a segment, begun before its script is sent. */
interface Begun {
  readonly instance: TaskInstance;
  /** How long ago, in milliseconds. */
  readonly ms: number;
  /** Who waits for its end. */
  readonly ended: (status: TaskStatus) => void;
}

const isTaken = ({ outcome, exitCode }: StepResult): boolean => outcome === 'ran' && exitCode === 0;

/** A segment on its way through one host. */
export class ChangeRunner {
  readonly #run: RunContext;
  readonly #host: InventoryHost;
  readonly #segment: Segment;
  readonly #messenger: StageSender;
  readonly #telling: TaskReporter;

  constructor(run: RunContext, host: InventoryHost, segment: Segment, messenger: StageSender, telling: TaskReporter) {
    this.#run = run;
    this.#host = host;
    this.#segment = segment;
    this.#messenger = messenger;
    this.#telling = telling;
  }

  /**
   * Makes the segment's changes.
   * @param othersChecked Settles when it is known what the other hosts have already.
   * @returns what became of them, those left out excepted; undefined when the host is out.
   */
  async send(othersChecked: Promise<unknown> | undefined): Promise<readonly Outcome[] | undefined> {
    const [first] = this.#segment.decisions;
    const sendings = pendingUploads(this.#segment);
    if (sendings.length > 0) return this.#sendUploads(sendings);
    const seed = peerSourceOf(this.#segment);
    return first && seed ? this.#sendSeeded(first, seed, othersChecked) : this.#sendScript(this.#segment);
  }

  /** Changes nothing more of `decisions`: the user asked to stop, it may not be disrupted now, or another one failed. */
  leave(decisions: readonly Decision[] = this.#segment.decisions): readonly Outcome[] {
    for (const { instance, what } of decisions) if (what === 'change') this.#telling.finish(instance, 'not run');
    return [];
  }

  /** Was the run stopped before what it is for has been sent whole, or while it was? */
  #isLeft({ outcome }: StepResult): boolean {
    return outcome === 'skipped' || (outcome === 'ran' && this.#run.stopping);
  }

  /** What was to be sent for a change was not taken: it fails, and those but `made` are left. */
  #notSent(failed: Decision, result: StepResult, made: readonly Decision[] = []): readonly Outcome[] {
    const outcome = this.#ended(uploadFailed(failed, result));
    this.leave(this.#segment.decisions.filter((decision) => decision !== failed && !made.includes(decision)));
    return [outcome];
  }

  async #sendUploads(sendings: readonly PendingUpload[]): Promise<readonly Outcome[] | undefined> {
    const { target, decisions } = this.#segment;
    const results = await this.#messenger.upload(
      target,
      sendings.map(({ upload }) => upload),
    );
    if (!results) return undefined;
    const sent = sendings.flatMap(({ decision }, i) => {
      const result = results[i];
      return result ? [{ decision, result }] : [];
    });
    const cut = sent.find(({ result }) => result.outcome === 'interrupted');
    if (cut) return this.#notSent(cut.decision, cut.result);
    if (results.some((result) => this.#isLeft(result))) return this.leave();
    const failed = sent.find(({ result }) => !isTaken(result));
    if (!failed) return this.#sendScript(this.#segment);
    // What comes before it is made all the same, as if they had been sent one after the other.
    const before = decisions.slice(0, decisions.indexOf(failed.decision));
    const made = await this.#sendScript({ ...this.#segment, decisions: before });
    if (!made) return undefined;
    if (made.length < before.length || made.some(({ status }) => status === 'failed')) {
      this.leave(decisions.slice(before.length));
      return made;
    }
    if (!failed.decision.instance.task.options.ignoreErrors) {
      return [...made, ...this.#notSent(failed.decision, failed.result, before)];
    }
    const ignored = this.#ended(uploadFailed(failed.decision, failed.result));
    const rest = await this.#sendScript({ ...this.#segment, decisions: decisions.slice(before.length + 1) });
    return rest && [...made, ignored, ...rest];
  }

  /** Where another host has what the first instance is to fetch, or is fetching it, it is had from there. */
  async #sendSeeded(
    first: Decision,
    seed: PeerSource,
    othersChecked: Promise<unknown> | undefined,
  ): Promise<readonly Outcome[] | undefined> {
    const { seeds } = this.#run;
    const { target } = this.#segment;
    const { instance } = first;
    const start = performance.now();
    const tell = (text: string): void => this.#telling.output(instance, `${text}\n`);
    this.#telling.begin(instance);
    await othersChecked;
    let waited = false;
    const { from, release } = await seeds.acquire(seed.key, this.#messenger.sourceOn(target, seed), (whom) => {
      waited = true;
      tell(`waits for ${whom}`);
    });
    if (waited) this.#run.waited(this.#host.name, start, this.#messenger.context('wait'));
    try {
      if (from && !this.#run.stopping) {
        tell(`from ${from.host}`);
        const [sent] = (await this.#messenger.upload(target, [this.#messenger.peerUpload(from, seed.write)])) ?? [];
        if (!sent) return undefined;
        if (sent.outcome === 'interrupted') return this.#notSent(first, sent);
        if (!this.#isLeft(sent) && !isTaken(sent)) {
          seeds.remove(seed.key, from);
          tell(`it could not be had from there: ${lastLines(sent.stderr) || sent.outcome}`);
        }
      }
      if (this.#run.stopping) return this.leave();
      const ms = Math.round(performance.now() - start);
      const ended = (status: TaskStatus): void => release(status === 'changed' || status === 'ok');
      return await this.#sendScript(this.#segment, { instance, ms, ended });
    } finally {
      release(false);
    }
  }

  async #sendScript(segment: Segment, begun?: Begun): Promise<readonly Outcome[] | undefined> {
    if (segment.decisions.length === 0) return [];
    const script = new SegmentScript(segment);
    const outcomes: Outcome[] = [];
    const toConfirm: Outcome[] = [];
    const listener = this.#listener(begun, (result) => {
      const read = script.read(result);
      if (!read) return;
      const isBegun = read.instance === begun?.instance;
      const outcome = isBegun ? { ...read, ms: read.ms + begun.ms } : read;
      if (isBegun) begun.ended(outcome.status);
      if (outcome.status === 'changed' && hasResource(outcome.instance) && outcome.instance.task.action.confirm) {
        toConfirm.push(outcome);
      } else outcomes.push(this.#ended(outcome));
    });
    const answered = await this.#messenger.send(segment.target, 'change', script.steps, listener);
    if (toConfirm.length > 0) {
      for (const outcome of await this.#confirm(toConfirm)) outcomes.push(this.#ended(outcome));
    }
    return answered && outcomes;
  }

  /** Tells of instances as they begin and of what they print, by whole lines; hands results on. */
  #listener(begun: Begun | undefined, finished: (result: StepResult) => void): StepListener {
    const instances = new Map(this.#segment.decisions.map(({ instance }) => [instance.key, instance]));
    const running = new Set<TaskInstance>(begun ? [begun.instance] : []);
    const lines = new Map<string, LineBuffer>();
    const unitOf = (id: string): TaskInstance | undefined =>
      /\.(change|gate_before|gate_after)$/.test(id) ? instances.get(id.split('.')[0] ?? '') : undefined;
    const tell = (id: string, stream: 'stdout' | 'stderr', text: string): void => {
      const instance = unitOf(id);
      if (instance) this.#telling.output(instance, text, stream);
    };
    return {
      started: (id) => {
        const instance = unitOf(id);
        if (!instance || running.has(instance)) return;
        running.add(instance);
        this.#telling.begin(instance);
      },
      output: (id, stream, chunk) => {
        const key = `${id} ${stream}`;
        const whole = lines.get(key) ?? new LineBuffer();
        lines.set(key, whole);
        tell(id, stream, whole.feed(chunk));
      },
      finished: (result) => {
        for (const stream of ['stdout', 'stderr'] as const) {
          tell(result.id, stream, lines.get(`${result.id} ${stream}`)?.rest() ?? '');
        }
        finished(result);
      },
    };
  }

  /** Proves over one new connection that the changes did not close the way in. */
  async #confirm(outcomes: readonly Outcome[]): Promise<readonly Outcome[]> {
    const steps = outcomes.flatMap(({ instance }): Step[] => {
      const confirm = hasResource(instance) ? instance.task.action.confirm : undefined;
      return confirm ? [{ id: instance.key, script: confirm.script, timeout: PROBE_TIMEOUT }] : [];
    });
    const answers = await this.#messenger.onNewConnection(this.#segment.target, steps);
    return outcomes.map((outcome) => {
      if ('what' in answers) return unconfirmed(outcome, `no new connection comes through (${answers.what})`);
      const answer = answers.find(({ id }) => id === outcome.instance.key);
      return answer?.outcome === 'ran' && answer.exitCode === 0
        ? outcome
        : unconfirmed(outcome, 'its confirmation came too late');
    });
  }

  #ended(outcome: Outcome): Outcome {
    this.#telling.finish(outcome.instance, outcome.status, outcome);
    return outcome;
  }
}
