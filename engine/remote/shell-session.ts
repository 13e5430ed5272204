/** A session: one framed shell on one link. */

import { PassThrough, type Readable } from 'node:stream';
import { type Script, sh } from '../script.ts';
import { type Cost, NO_TRAFFIC, type Traffic, type TrafficCounter } from '../traffic.ts';
import { compressSteps } from './compressed-steps.ts';
import { ResultDecoder, skippedResult } from './decode-results.ts';
import { encodeSteps } from './encode-steps.ts';
import { newMark } from './framing.ts';
import { type LockRefusal, lockCommand, refusalOf } from './host-lock.ts';
import { killStepScript, type RunningStep, skipRestScript } from './kill-process-tree.ts';
import type { Link } from './link.ts';
import { remoteRuntime } from './remote-runtime.ts';
import {
  type Connection,
  LinkError,
  type LockRequest,
  type Session,
  type Step,
  type StepListener,
  type StepResult,
  type UploadStep,
} from './session.ts';
import { openShell, type Shell } from './sudo-shell.ts';
import { after } from './timer.ts';
import { type EndReason, readOutput, runBeside, UploadQueue } from './uploads.ts';

/** Seconds a step that was told to end has for it; then the link is given up. Ending it takes 3 s at most (stop-script.ts). */
const KILL_GRACE = 15;

/** Seconds a shell that is waited for has to end by itself when the session is closed. */
const CLOSE_GRACE = 5;

/** The only {@link Session}. */
export class ShellSession implements Session {
  readonly name: string;
  readonly channelRoundTrips: number;
  readonly opening: Session['opening'];
  readonly #link: Link;
  readonly #shell: Shell;
  readonly #connection: Connection;
  readonly #reader: ResultDecoder;
  /** The functions defined on the host: see {@link encodeSteps}. */
  readonly #defined = new Map<string, string>();
  readonly #traffic: TrafficCounter = { ...NO_TRAFFIC };
  /** Is what is long packed? Not for ourselves, nor for a host without gzip. */
  #unpacks: boolean;
  /** Sent with the first batch. */
  #preludeText: string;
  #lockRequest: LockRequest | undefined;
  /** The batches and rows of transfers given so far, one after the other. */
  #queue: Promise<unknown> = Promise.resolve();
  #queued = 0;
  /** Batches to be left out, from the next on: the user asked to stop. */
  #leaveOut = 0;
  /** Of the batch at hand. */
  #running: RunningStep | undefined;
  #ending: EndReason | undefined;
  #giveUp: ((error: LinkError) => void) | undefined;
  /** The row of transfers at hand. */
  #row: UploadQueue | undefined;
  #broken: LinkError | undefined;
  #closed = false;

  /** Takes over a link and the shell on it; {@link openShell} made the shell. */
  constructor(link: Link, shell: Shell, connection: Connection, become: Cost) {
    this.name = connection.name;
    this.channelRoundTrips = shell.roundTrips;
    this.opening = { ...link.opening, become };
    this.#link = link;
    this.#shell = shell;
    this.#connection = connection;
    this.#unpacks = connection.transport === 'ssh';
    const mark = newMark();
    this.#reader = new ResultDecoder(mark);
    this.#preludeText = remoteRuntime(mark);
    const { stdout, stderr, ended } = shell.channel;
    const listen = (stream: 'stdout' | 'stderr') => (chunk: Buffer) => {
      this.#traffic.bytesIn += chunk.length;
      this.#reader.feed(stream, chunk);
    };
    stdout.on('data', listen('stdout')).resume();
    stderr.on('data', listen('stderr')).resume();
    if (shell.rest.length > 0) this.#reader.feed('stdout', shell.rest);
    // `gone` knows why, so it goes first.
    void link.gone.then((why) => this.#break(`lost the connection: ${why}`));
    void ended.then(({ code, signal }) => {
      const how = signal ? `killed by ${signal}` : code === undefined ? undefined : `exit code ${code}`;
      // A broken link ends the channel too; its reason is a moment behind.
      setImmediate(() => this.#break(how ? `the session's shell ended (${how})` : 'lost the connection'));
    });
  }

  get traffic(): Traffic {
    return this.#traffic;
  }

  get wire(): Traffic {
    return this.#link.wire;
  }

  lock(request: LockRequest): void {
    this.#lockRequest = request;
  }

  run(steps: readonly Step[], listener?: StepListener): Promise<readonly StepResult[]> {
    if (steps.length === 0) return Promise.resolve([]);
    this.#queued++;
    const result = this.#queue
      .then(() => (this.#leaveOut > 0 ? this.#leaveOutBatch(steps, listener) : this.#runBatch(steps, listener)))
      .finally(() => this.#queued--);
    this.#queue = result.catch(() => {});
    return result;
  }

  #leaveOutBatch(steps: readonly Pick<Step, 'id'>[], listener?: StepListener): readonly StepResult[] {
    this.#leaveOut--;
    return steps.map((step) => {
      const result = skippedResult(step);
      listener?.finished?.(result);
      return result;
    });
  }

  async #runBatch(steps: readonly Step[], listener: StepListener | undefined): Promise<readonly StepResult[]> {
    const request = this.#lockRequest;
    this.#lockRequest = undefined;
    let answer = await this.#exchange(steps, listener, request);
    if ('abandoned' in answer && answer.abandoned) {
      await this.#tell(killStepScript(answer.abandoned.pid, answer.abandoned));
      answer = await this.#exchange(steps, listener, request);
    }
    if ('error' in answer) throw answer.error;
    return answer;
  }

  /** One batch out, its answer back. */
  async #exchange(
    steps: readonly Step[],
    listener: StepListener | undefined,
    request: LockRequest | undefined,
  ): Promise<readonly StepResult[] | LockRefusal> {
    if (this.#broken) throw this.#broken;
    const lock = request ? lockCommand(request, this.#connection.transport === 'local') : '';
    const told = this.#preludeText;
    this.#preludeText = '';
    const plain = encodeSteps(steps, this.#defined, lock);
    const pack = this.#unpacks ? compressSteps(plain) : undefined;
    let timer: NodeJS.Timeout | undefined;
    let refused: LockRefusal | undefined;
    try {
      return await new Promise((resolve, reject) => {
        this.#giveUp = reject;
        this.#reader.begin(steps, listener, {
          started: (_, step, running) => {
            this.#running = running;
            timer = after(step.timeout, () => void this.#end(running, 'timed out'));
          },
          outcome: () => {
            clearTimeout(timer);
            const outcome = this.#ending ?? 'ran';
            this.#running = undefined;
            this.#ending = undefined;
            return outcome;
          },
          lock: (words) => {
            refused = request && refusalOf(this.name, words, request.runId);
            return refused === undefined;
          },
          notDecompressed: () => {
            this.#unpacks = false;
            this.#write(plain);
          },
          done: (results) => resolve(refused ?? results),
        });
        this.#write(told + (pack ?? plain));
      });
    } finally {
      clearTimeout(timer);
      this.#giveUp = undefined;
      this.#running = undefined;
      this.#ending = undefined;
    }
  }

  #write(text: string): void {
    const bytes = Buffer.from(text);
    this.#traffic.roundTrips++;
    this.#traffic.bytesOut += bytes.length;
    this.#shell.channel.stdin.write(bytes);
  }

  upload(transfers: readonly UploadStep[]): Promise<readonly StepResult[]> {
    if (transfers.length === 0) return Promise.resolve([]);
    this.#queued++;
    const result = this.#queue
      .then(() => (this.#leaveOut > 0 ? this.#leaveOutBatch(transfers) : this.#transferRow(transfers)))
      .finally(() => this.#queued--);
    this.#queue = result.catch(() => {});
    return result;
  }

  async #transferRow(transfers: readonly UploadStep[]): Promise<readonly StepResult[]> {
    const row = new UploadQueue(this.#link, this.#connection, this.#traffic);
    this.#row = row;
    try {
      // Nothing is sent to a host that another run holds.
      const timeout = Math.max(...transfers.map((transfer) => transfer.timeout));
      if (this.#lockRequest) await this.#runBatch([{ id: 'lock', script: sh`:`, timeout }], undefined);
      if (this.#broken) throw this.#broken;
      const results = await row.send(transfers, this.#unpacks).catch(async (error: unknown) => {
        await aMoment();
        throw this.#broken ?? error;
      });
      if (results) return results;
      await aMoment();
      this.#break('lost the connection');
      throw this.#broken;
    } finally {
      this.#row = undefined;
    }
  }

  read(script: Script): Readable {
    return this.#broken ? new PassThrough().destroy(this.#broken) : readOutput(this.#link, this.#connection, script);
  }

  async interrupt(how: 'after this step' | 'now'): Promise<void> {
    if (this.#broken || this.#closed) return;
    const busy = this.#queued > 0;
    this.#leaveOut = Math.max(1, this.#queued) - (busy ? 1 : 0);
    if (!busy) return;
    if (this.#row) {
      this.#row.stop(how);
      return;
    }
    const running = how === 'now' ? this.#running : undefined;
    if (running) await this.#end(running, 'interrupted', skipRestScript(this.#shell.pid));
    else await this.#tell(skipRestScript(this.#shell.pid));
  }

  /** Ends a running step; when it won't, gives the link up. */
  async #end(running: RunningStep, how: EndReason, first = ''): Promise<void> {
    this.#ending ??= how;
    const grace = setTimeout(() => this.#abandon(running, how), KILL_GRACE * 1000);
    try {
      await this.#tell(first + killStepScript(this.#shell.pid, running));
    } catch {
      this.#abandon(running, how);
    } finally {
      if (this.#running !== running) clearTimeout(grace);
      else grace.unref();
    }
  }

  #abandon(running: RunningStep, how: EndReason): void {
    if (this.#running !== running) return;
    this.#break(`a step ${how === 'timed out' ? 'timed out' : 'was interrupted'} and could not be stopped`);
    void this.#link.close();
  }

  /** Has a second shell on the host do something to the session's. */
  async #tell(script: string): Promise<void> {
    await runBeside(this.#link, this.#connection, script);
  }

  #break(what: string): void {
    if (this.#broken) return;
    const step = (this.#reader.running ?? (this.#giveUp ? this.#reader.next : undefined))?.id;
    this.#broken = new LinkError(
      'lost',
      {
        what: step === undefined ? what : `${what}, while ${step} was running`,
        host: this.name,
        hint: 'see that the host is up and reachable, then run again: what was done is kept, the rest is taken up',
      },
      step,
    );
    this.#giveUp?.(this.#broken);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { channel } = this.#shell;
    channel.stdin.end();
    // An idle shell on another host reads the end of its stdin and goes, its lock with it, though nobody is there any more.
    if (this.#queued > 0 || this.#connection.transport === 'local') {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise((resolve) => {
        timer = setTimeout(resolve, CLOSE_GRACE * 1000);
      });
      await Promise.race([channel.ended, late]);
      clearTimeout(timer);
    }
    await this.#link.close();
  }
}

/** The reason of a link that broke is a moment behind. */
function aMoment(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
