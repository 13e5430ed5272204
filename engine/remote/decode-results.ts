/**
 * Makes step results of the frames of a session's two streams. Stdout leads: a step begins and ends there. What stderr
 * has of a step waits until stdout has reached the step, and stdout waits at the end of a step for stderr, so that a
 * listener is called for one step after the other.
 */
import { BoundedOutput } from './bounded-output.ts';
import { type Frame, FrameParser } from './framing.ts';
import type { HostProcess } from './kill-process-tree.ts';
import type { Step, StepListener, StepResult } from './session.ts';

type StreamName = 'stdout' | 'stderr';

/** What a decoder reports to the session, besides the calls of the listener. */
export interface DecoderEvents {
  /** A step began, in this process. */
  readonly started: (step: Step, process: HostProcess) => void;
  /** A step has ended: how? */
  readonly outcome: () => 'ran' | 'timed out' | 'interrupted';
  /** The lock's answer: the words after `L`. False: it is not taken, and the listener is not called. */
  readonly lock: (words: readonly string[]) => boolean;
  /** The host cannot decompress what it was sent. */
  readonly notDecompressed: () => void;
  /** Every step is answered. */
  readonly done: (results: readonly StepResult[]) => void;
}

interface Stream {
  readonly parser: FrameParser;
  /** Frames not handled yet. */
  queue: Frame[];
  /** The step whose output comes now, on this stream. */
  step: number | undefined;
  output: BoundedOutput;
}

/** Reads the answers to the steps of one session: those of one call at a time. */
export class ResultDecoder {
  readonly #streams: Record<StreamName, Stream>;
  #steps: readonly Step[] = [];
  #listener: StepListener | undefined;
  #events: DecoderEvents | undefined;
  #results: StepResult[] = [];
  /** The step that began on stdout, and how far its two streams are. */
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

  /** The first step not answered. */
  get next(): Step | undefined {
    return this.#steps[this.#results.length];
  }

  /** Begins to read the answers to at least one step. */
  begin(steps: readonly Step[], listener: StepListener | undefined, events: DecoderEvents): void {
    this.#steps = steps;
    this.#listener = listener;
    this.#events = events;
    this.#results = [];
  }

  /** Takes a chunk of a stream. */
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

  /**
   * Output between two steps is of a background process that an earlier step left: it belongs to none, and is dropped.
   */
  #output(name: StreamName, stream: Stream, data: Buffer): void {
    const step = stream.step === undefined ? undefined : this.#steps[stream.step];
    if (!step) return;
    stream.output.add(data);
    this.#listener?.output?.(step.id, name, data);
  }

  #started(stream: Stream, index: number, process: HostProcess, began: number): void {
    const step = this.#steps[index];
    if (!step) return;
    [stream.step, stream.output] = [index, new BoundedOutput()];
    this.#running = { index, began, stderrEnded: false };
    this.#events?.started(step, process);
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
      outcome: this.#events?.outcome() ?? 'ran',
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
