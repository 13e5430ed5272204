/** A session: one framed shell on one link. */
import { PassThrough, type Readable } from 'node:stream';
import { type Script, sh } from '../script.ts';
import { type Cost, NO_TRAFFIC, type Traffic, type TrafficCounter } from '../traffic.ts';
import { CallQueue } from './call-queue.ts';
import { compressSteps } from './compressed-steps.ts';
import { ResultDecoder, skippedResult } from './decode-results.ts';
import { encodeSteps } from './encode-steps.ts';
import { newMark } from './framing.ts';
import { type LockRefusal, lockCommand, lockRefusal, survivorsError } from './host-lock.ts';
import { type HostProcess, killSessionScript, killStepScript, skipRestScript } from './kill-process-tree.ts';
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
import { guarded } from './step-listener.ts';
import type { Shell } from './sudo-shell.ts';
import { after } from './timer.ts';
import { type EndReason, readOutput, runBeside, UploadQueue } from './uploads.ts';

/** Seconds until a step that is being ended costs the link. Ending it takes 6 s at most (kill-process-tree.ts). */
const KILL_GRACE = 15;

/** Seconds a shell that is waited for has to end by itself when the session is closed. */
const CLOSE_GRACE = 5;

/** Abandoned sessions that may be ended for one lock: a run may have had several on one machine. */
const ABANDONED_AT_MOST = 5;

/** The only {@link Session}. */
export class ShellSession implements Session {
  readonly name: string;
  readonly machine: string | undefined;
  readonly channelRoundTrips: number;
  readonly opening: Session['opening'];
  readonly #link: Link;
  readonly #shell: Shell;
  readonly #connection: Connection;
  readonly #decoder: ResultDecoder;
  /** The functions defined on the host: see {@link encodeSteps}. */
  readonly #defined = new Map<string, string>();
  readonly #traffic: TrafficCounter = { ...NO_TRAFFIC };
  readonly #calls = new CallQueue();
  /** Compress long steps? Not for this machine, nor for a host without gzip. */
  #compress: boolean;
  /** The runtime, until it is sent with the first steps. */
  #runtime: string;
  #lockRequest: LockRequest | undefined;
  /** The running step's process, and why it is being ended, where it is. */
  #running: HostProcess | undefined;
  #ending: EndReason | undefined;
  /** Rejects the call at hand. */
  #reject: ((error: LinkError) => void) | undefined;
  /** The uploads at hand. */
  #uploads: UploadQueue | undefined;
  #broken: LinkError | undefined;
  #closed = false;

  /** Takes over a link and the shell on it, as `openShell` made it. */
  constructor(link: Link, shell: Shell, connection: Connection, become: Cost) {
    this.name = connection.name;
    this.machine = shell.machine;
    this.channelRoundTrips = shell.roundTrips;
    this.opening = { ...link.opening, become };
    this.#link = link;
    this.#shell = shell;
    this.#connection = connection;
    this.#compress = connection.transport === 'ssh';
    const mark = newMark();
    this.#decoder = new ResultDecoder(mark);
    this.#runtime = remoteRuntime(mark, shell.machine);
    const { stdout, stderr, ended } = shell.channel;
    const feed = (stream: 'stdout' | 'stderr') => (chunk: Buffer) => {
      this.#traffic.bytesIn += chunk.length;
      this.#decoder.feed(stream, chunk);
    };
    stdout.on('data', feed('stdout')).resume();
    stderr.on('data', feed('stderr')).resume();
    if (shell.rest.length > 0) this.#decoder.feed('stdout', shell.rest);
    // `closed` knows why, so it goes first.
    void link.closed.then((why) => this.#break(`lost the connection: ${why}`));
    void ended.then(({ code, signal }) => {
      const how = signal ? `killed by ${signal}` : code === undefined ? undefined : `exit code ${code}`;
      // A broken link ends the channel too; its reason comes a moment later.
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
    const skipped = () => {
      const results = steps.map(skippedResult);
      for (const result of results) listener?.finished?.(result);
      return results;
    };
    return this.#calls.add(() => this.#runSteps(steps, listener), skipped);
  }

  async #runSteps(steps: readonly Step[], listener: StepListener | undefined): Promise<readonly StepResult[]> {
    const request = this.#lockRequest;
    const { safe, rethrow } = guarded(listener);
    let answer = await this.#exchange(steps, safe, request);
    for (let ended = 0; 'error' in answer && answer.abandoned && ended < ABANDONED_AT_MOST; ended++) {
      const survivors = await this.#runBeside(killSessionScript(answer.abandoned, 'KILL'));
      if (survivors !== '') throw survivorsError(this.name, survivors);
      answer = await this.#exchange(steps, safe, request);
    }
    if ('error' in answer) throw answer.error;
    // Without the lock it is asked for again: nothing runs on a host that another run holds.
    if (this.#lockRequest === request) this.#lockRequest = undefined;
    rethrow();
    return answer;
  }

  /** Sends steps and waits for their answers. */
  async #exchange(
    steps: readonly Step[],
    listener: StepListener | undefined,
    request: LockRequest | undefined,
  ): Promise<readonly StepResult[] | LockRefusal> {
    if (this.#broken) throw this.#broken;
    const runtime = this.#runtime;
    this.#runtime = '';
    const plain = encodeSteps(steps, this.#defined, request ? lockCommand(request) : '');
    const compressed = this.#compress ? compressSteps(plain) : undefined;
    let timer: NodeJS.Timeout | undefined;
    let refusal: LockRefusal | undefined;
    try {
      return await new Promise((resolve, reject) => {
        this.#reject = reject;
        this.#decoder.begin(steps, listener, {
          started: (step, process) => {
            this.#running = process;
            timer = after(step.timeout, () => void this.#end(process, 'timed out'));
          },
          outcome: () => {
            clearTimeout(timer);
            const outcome = this.#ending ?? 'ran';
            this.#running = undefined;
            this.#ending = undefined;
            return outcome;
          },
          lock: (words) => {
            refusal = lockRefusal(this.name, words);
            return refusal === undefined;
          },
          notDecompressed: () => {
            this.#compress = false;
            this.#write(plain);
          },
          done: (results) => resolve(refusal ?? results),
        });
        this.#write(runtime + (compressed ?? plain));
      });
    } finally {
      clearTimeout(timer);
      this.#reject = undefined;
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

  upload(uploads: readonly UploadStep[]): Promise<readonly StepResult[]> {
    if (uploads.length === 0) return Promise.resolve([]);
    return this.#calls.add(
      () => this.#runUploads(uploads),
      () => uploads.map(skippedResult),
    );
  }

  async #runUploads(uploads: readonly UploadStep[]): Promise<readonly StepResult[]> {
    const queue = new UploadQueue(this.#link, this.#connection, this.#traffic);
    this.#uploads = queue;
    try {
      // Nothing is sent to a host that another run holds.
      const timeout = Math.max(...uploads.map((upload) => upload.timeout));
      if (this.#lockRequest) await this.#runSteps([{ id: 'lock', script: sh`:`, timeout }], undefined);
      if (this.#broken) throw this.#broken;
      const results = await queue.send(uploads, this.#compress).catch(async (error: unknown) => {
        await reasonKnown();
        throw this.#broken ?? error;
      });
      if (results) return results;
      await reasonKnown();
      this.#break('lost the connection');
      throw this.#broken;
    } finally {
      this.#uploads = undefined;
    }
  }

  read(script: Script): Readable {
    return this.#broken ? new PassThrough().destroy(this.#broken) : readOutput(this.#link, this.#connection, script);
  }

  async interrupt(how: 'after this step' | 'now'): Promise<void> {
    if (this.#broken || this.#closed) return;
    this.#calls.skipWaiting();
    if (!this.#calls.isBusy) return;
    if (this.#uploads) {
      this.#uploads.stop(how);
      return;
    }
    const running = how === 'now' ? this.#running : undefined;
    if (running) await this.#end(running, 'interrupted', skipRestScript(this.#shell.pid));
    else await this.#runBeside(skipRestScript(this.#shell.pid));
  }

  /** Ends a running step; gives up the link where that fails. */
  async #end(running: HostProcess, why: EndReason, first = ''): Promise<void> {
    this.#ending ??= why;
    const grace = setTimeout(() => this.#abandon(running, why), KILL_GRACE * 1000);
    try {
      await this.#runBeside(first + killStepScript(this.#shell.pid, running));
    } catch {
      this.#abandon(running, why);
    } finally {
      if (this.#running !== running) clearTimeout(grace);
      else grace.unref();
    }
  }

  #abandon(running: HostProcess, why: EndReason): void {
    if (this.#running !== running) return;
    this.#break(`a step ${why === 'timed out' ? 'timed out' : 'was interrupted'} and could not be stopped`);
    void this.#link.close();
  }

  #runBeside(script: string): Promise<string> {
    return runBeside(this.#link, this.#connection, script);
  }

  #break(what: string): void {
    if (this.#broken) return;
    const step = this.#decoder.running ?? (this.#reject ? this.#decoder.next : undefined);
    const running = step?.title === undefined ? 'a command' : `"${step.title}"`;
    this.#broken = new LinkError(
      'lost',
      {
        what: step ? `${what}, while ${running} was running` : what,
        host: this.name,
        hint: 'see that the host is up and reachable, then run again: what is done is kept, the rest is done then',
      },
      step?.id,
    );
    this.#reject?.(this.#broken);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { channel } = this.#shell;
    channel.stdin.end();
    // An idle shell on another host reads the end of its stdin and ends, its lock with it, after the link is closed.
    if (this.#calls.isBusy || this.#connection.transport === 'local') {
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

/** The reason of a link that broke comes a moment after the break. */
function reasonKnown(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
