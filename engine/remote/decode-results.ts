/**
 * Puts the frames of both streams of a session together into step results. Stdout leads: a step is announced, running and
 * answered there; what stderr says of a step waits until stdout has got there, and stdout waits at the end of a step until
 * stderr has, so that a listener hears of one step after the other.
 */

import { BoundedOutput } from './bounded-output.ts';
import { type Frame, FrameParser } from './framing.ts';
import type { RunningStep } from './kill-process-tree.ts';
import type { Step, StepListener, StepResult } from './session.ts';

type StreamName = 'stdout' | 'stderr';

/** What a reader reports besides to the batch's listener. */
export interface DecoderEvents {
  /** A step began; `end` needs this to end it. */
  readonly started: (index: number, step: Step, running: RunningStep) => void;
  /** How a step that has ended is to be called. */
  readonly outcome: (index: number) => 'ran' | 'timed out' | 'interrupted';
  /** The lock's answer: the words after `L`. False: it was not had, and the listener hears nothing of this batch. */
  readonly lock: (words: readonly string[]) => boolean;
  /** The host can't unpack what it was sent. */
  readonly notDecompressed: () => void;
  /** Every step is answered for. */
  readonly done: (results: readonly StepResult[]) => void;
}

interface Stream {
  readonly parser: FrameParser;
  /** Frames not looked at yet. */
  queue: Frame[];
  /** The step whose output comes now, on this stream. */
  step: number | undefined;
  output: BoundedOutput;
}

/** Reads the answers to the batches of one session, one batch after the other. */
export class ResultDecoder {
  readonly #streams: Record<StreamName, Stream>;
  #steps: readonly Step[] = [];
  #listener: StepListener | undefined;
  #events: DecoderEvents | undefined;
  #results: StepResult[] = [];
  /** The step that stdout announced, and how far its two streams are. */
  #running:
    | { index: number; began: number; ended?: { code: number; uptime: number }; stderrEnded: boolean }
    | undefined;

  constructor(mark: string) {
    const stream = (): Stream => ({
      parser: new FrameParser(mark),
      queue: [],
      step: undefined,
      output: new BoundedOutput(),
    });
    this.#streams = { stdout: stream(), stderr: stream() };
  }

  /** The step that runs now. */
  get running(): Step | undefined {
    return this.#running && this.#steps[this.#running.index];
  }

  /** The first step not answered for. */
  get next(): Step | undefined {
    return this.#steps[this.#results.length];
  }

  /** Begins to read the answers to a batch of at least one step. */
  begin(steps: readonly Step[], listener: StepListener | undefined, events: DecoderEvents): void {
    this.#steps = steps;
    this.#listener = listener;
    this.#events = events;
    this.#results = [];
  }

  /** Takes what came on a stream. */
  feed(name: StreamName, chunk: Buffer): void {
    this.#streams[name].queue.push(...this.#streams[name].parser.feed(chunk));
    while (this.#advance('stdout') || this.#advance('stderr'));
  }

  /** Handles the frames of a stream until it has to wait for the other. True when there was something to do. */
  #advance(name: StreamName): boolean {
    const stream = this.#streams[name];
    let count = 0;
    for (const frame of stream.queue) {
      if (!(name === 'stdout' ? this.#onStdout(stream, frame) : this.#onStderr(stream, frame))) break;
      count++;
    }
    if (count > 0) stream.queue = stream.queue.slice(count);
    return count > 0;
  }

  /** False: not yet. */
  #onStdout(stream: Stream, frame: Frame): boolean {
    if (this.#running?.ended) return false;
    if (frame.kind === 'data') {
      this.#output('stdout', stream, frame.data);
      return true;
    }
    const [kind, index, ...rest] = frame.words;
    if (kind === 'L' && this.#events?.lock(frame.words.slice(1)) === false) this.#listener = undefined;
    if (kind === 'P') this.#events?.notDecompressed();
    if (kind === 'K') this.#skipped();
    if (kind === 'S') {
      const [pid, start, began] = rest.map(Number);
      this.#started(stream, Number(index), { pid: pid ?? 0, start: start ?? 0 }, began ?? 0);
    }
    if (kind === 'E' && this.#running) {
      stream.step = undefined;
      this.#running.ended = { code: Number(rest[0]), uptime: Number(rest[1]) };
      this.#finish();
    }
    return true;
  }

  /** False: not yet. */
  #onStderr(stream: Stream, frame: Frame): boolean {
    if (frame.kind === 'data') {
      this.#output('stderr', stream, frame.data);
      return true;
    }
    const [kind, index] = frame.words;
    if (kind === 'S') {
      if (this.#running?.index !== Number(index) || this.#running.stderrEnded) return false;
      [stream.step, stream.output] = [Number(index), new BoundedOutput()];
    }
    if (kind === 'E' && this.#running) {
      stream.step = undefined;
      this.#running.stderrEnded = true;
      this.#finish();
    }
    return true;
  }

  /** What comes between two steps is from something left in the background by an earlier one: nobody's, so it is dropped. */
  #output(name: StreamName, stream: Stream, data: Buffer): void {
    const step = stream.step === undefined ? undefined : this.#steps[stream.step];
    if (!step) return;
    stream.output.add(data);
    this.#listener?.output?.(step.id, name, data);
  }

  #started(stream: Stream, index: number, running: RunningStep, began: number): void {
    const step = this.#steps[index];
    if (!step) return;
    [stream.step, stream.output] = [index, new BoundedOutput()];
    this.#running = { index, began, stderrEnded: false };
    this.#events?.started(index, step, running);
    this.#listener?.started?.(step.id);
  }

  #finish(): void {
    const { stdout, stderr } = this.#streams;
    const running = this.#running;
    const step = running && this.#steps[running.index];
    if (!step || !running.ended || !running.stderrEnded) return;
    this.#running = undefined;
    const result: StepResult = {
      id: step.id,
      outcome: this.#events?.outcome(running.index) ?? 'ran',
      exitCode: running.ended.code,
      stdout: stdout.output.take(),
      stderr: stderr.output.take(),
      truncated: stdout.output.truncated || stderr.output.truncated,
      duration: Math.max(0, Math.round((running.ended.uptime - running.began) * 100) / 100),
      arrived: Date.now() / 1000,
    };
    stdout.output = new BoundedOutput();
    stderr.output = new BoundedOutput();
    this.#answer(result);
  }

  #skipped(): void {
    const step = this.next;
    if (step) this.#answer(skippedResult(step));
  }

  #answer(result: StepResult): void {
    this.#results.push(result);
    this.#listener?.finished?.(result);
    if (this.#results.length === this.#steps.length) this.#events?.done(this.#results);
  }
}

/** The result of a step that did not run. */
export function skippedResult(step: Pick<Step, 'id'>): StepResult {
  return {
    id: step.id,
    outcome: 'skipped',
    exitCode: 0,
    stdout: Buffer.alloc(0),
    stderr: Buffer.alloc(0),
    truncated: false,
    duration: 0,
    arrived: Date.now() / 1000,
  };
}
