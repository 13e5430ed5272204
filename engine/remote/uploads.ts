/**
 * What uses channels of its own, beside the session's shell: uploads to a host, each on the stdin of a script; the
 * output of a script, downloaded; and scripts that act on the session's shell from outside.
 */
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import pLimit from 'p-limit';
import { type Script, sh } from '../script.ts';
import type { TrafficCounter } from '../traffic.ts';
import { BoundedOutput } from './bounded-output.ts';
import { skippedResult } from './decode-results.ts';
import { killSessionScript } from './kill-process-tree.ts';
import type { Link } from './link.ts';
import type { Connection, StepResult, UploadStep } from './session.ts';
import { openShell } from './sudo-shell.ts';
import { after } from './timer.ts';

/**
 * Uploads at once. Several are faster than one over a distance: a channel has no more than 2 MB on its way (sshd's
 * window). sshd grants ten channels (MaxSessions), the shell's among them; where it grants fewer, the uploads take
 * turns.
 */
const UPLOADS_AT_ONCE = 3;

/**
 * Seconds until an upload that is being ended is no longer waited for. Ending it takes 7 s at most
 * (kill-process-tree.ts).
 */
const END_GRACE = 10;

/** Why something is ended before its time. */
export type EndReason = 'timed out' | 'interrupted';

/** An upload that has begun. */
interface ActiveUpload {
  end(why: EndReason): void;
  /** There is progress: its timeout begins anew. */
  refresh(): void;
}

/** The uploads of one call, a few of them at once. */
export class UploadQueue {
  readonly #link: Link;
  readonly #connection: Connection;
  readonly #traffic: TrafficCounter;
  readonly #active = new Set<ActiveUpload>();
  #isStopped = false;

  /** @param traffic Counts what is sent and received. */
  constructor(link: Link, connection: Connection, traffic: TrafficCounter) {
    this.#link = link;
    this.#connection = connection;
    this.#traffic = traffic;
  }

  /**
   * Sends them.
   * @param compress The host can decompress.
   * @returns their results, in their order; undefined when the connection was lost on the way.
   * @throws LinkError where no channel can be opened.
   */
  async send(uploads: readonly UploadStep[], compress: boolean): Promise<readonly StepResult[] | undefined> {
    const limit = pLimit(UPLOADS_AT_ONCE);
    const begin = (upload: UploadStep) =>
      this.#isStopped ? skippedResult(upload) : this.#upload(upload, upload.compressible === true && compress);
    const ended = await Promise.allSettled(uploads.map((upload) => limit(begin, upload)));
    if (ended.some((end) => end.status === 'fulfilled' && end.value === undefined)) return undefined;
    return ended.flatMap((end) => {
      if (end.status === 'rejected') throw end.reason;
      return end.value ?? [];
    });
  }

  /** Begins no further upload, and ends the active ones where it is `now`. */
  stop(how: 'after this step' | 'now'): void {
    this.#isStopped = true;
    if (how === 'now') for (const upload of this.#active) upload.end('interrupted');
  }

  /** @returns undefined when the connection was lost. */
  async #upload({ id, script, timeout, content }: UploadStep, compress: boolean): Promise<StepResult | undefined> {
    const { name, become } = this.#connection;
    const start = performance.now();
    let ending: EndReason | undefined;
    let close = (): void => {};
    const end = (why: EndReason): void => {
      if (ending) return;
      ending = why;
      close();
    };
    let stalled: NodeJS.Timeout | undefined;
    const active: ActiveUpload = { end, refresh: () => void stalled?.refresh() };
    this.#active.add(active);
    const [stdout, stderr] = [new BoundedOutput(), new BoundedOutput()];
    let readError: Error | undefined;
    let code: number | undefined;
    try {
      const command = evaluated(compress ? sh`gzip -dc | {\n${script}\n}` : script);
      const { channel, roundTrips, pid } = await openShell(this.#link, { name, become, timeout, command });
      this.#traffic.roundTrips += roundTrips + 1;
      // What the other uploads send is before it on the line: any progress of theirs counts for it.
      stalled = after(timeout, () => end('timed out'));
      // That the channel is closed says that the shell has ended, and not yet all that it started.
      const givenUp = new Promise<undefined>((resolve) => {
        close = () => {
          channel.close();
          after(END_GRACE, () => resolve(undefined)).unref();
          const killed = runBeside(this.#link, this.#connection, killSessionScript({ pid }, 'TERM'));
          void killed.catch(() => {}).then(() => resolve(undefined));
        };
      });
      if (ending) close();
      const keepIn = (output: BoundedOutput) => (chunk: Buffer) => {
        this.#traffic.bytesIn += chunk.length;
        output.add(chunk);
      };
      channel.stdout.on('data', keepIn(stdout)).resume();
      channel.stderr.on('data', keepIn(stderr)).resume();
      // A script may end before it has read all. That is no error of the content's: its exit code says why.
      let isWanted = true;
      for (const event of ['error', 'close']) channel.stdin.once(event, () => (isWanted = false));
      const source = content();
      source.once('error', (error) => {
        if (isWanted) readError = error;
      });
      const sent = compress ? [source, createGzip({ level: 1 })] : [source];
      sent.at(-1)?.on('data', (chunk: Buffer) => {
        this.#traffic.bytesOut += chunk.length;
        for (const each of this.#active) each.refresh();
      });
      const done = pipeline([...sent, channel.stdin])
        .catch(() => {})
        .then(() => channel.ended);
      code = (await Promise.race([done, givenUp]))?.code;
      if (ending) await givenUp;
      source.destroy();
    } finally {
      clearTimeout(stalled);
      this.#active.delete(active);
    }
    if (readError) {
      stderr.add(Buffer.from(`${readError.message}\n`));
      code = 1;
    }
    if (code === undefined && ending === undefined) {
      this.#isStopped = true;
      return undefined;
    }
    return {
      id,
      outcome: ending ?? 'ran',
      exitCode: code ?? 0,
      stdout: stdout.take(),
      stderr: stderr.take(),
      truncated: stdout.truncated || stderr.truncated,
      duration: Math.round(performance.now() - start) / 1000,
      arrived: Date.now() / 1000,
    };
  }
}

/** Runs a script in a shell of its own. @returns what it printed. */
export async function runBeside(link: Link, connection: Connection, script: string): Promise<string> {
  const { name, become, connectTimeout: timeout } = connection;
  const { channel } = await openShell(link, { name, become, timeout });
  const stdout = new BoundedOutput();
  channel.stdout.on('data', (chunk: Buffer) => stdout.add(chunk)).resume();
  channel.stderr.resume();
  channel.stdin.end(script);
  await channel.ended;
  return stdout.take().toString();
}

/** What a script prints, byte for byte. The stream fails where the script fails or cannot be run. */
export function readOutput(link: Link, connection: Connection, script: Script): Readable {
  const out = new PassThrough();
  void readInto(out, link, connection, script).catch((error) => out.destroy(error));
  return out;
}

async function readInto(out: PassThrough, link: Link, connection: Connection, script: Script): Promise<void> {
  const { name, become, connectTimeout: timeout } = connection;
  const { channel, rest } = await openShell(link, { name, become, timeout, command: evaluated(script) });
  const stderr = new BoundedOutput();
  try {
    channel.stdin.end();
    channel.stderr.on('data', (chunk: Buffer) => stderr.add(chunk)).resume();
    out.write(rest);
    await pipeline(channel.stdout, out, { end: false });
    const { code } = await channel.ended;
    if (code !== 0) {
      const why = code === undefined ? 'lost the connection' : `exit code ${code}`;
      throw new Error(`${name}: ${stderr.take().toString().trim() || why}`);
    }
    out.end();
  } finally {
    channel.close();
  }
}

/** A script as the command of a shell that has content on its stdin, and nothing of the session's runtime. */
function evaluated(script: Script): string {
  const text = `LC_ALL=C; export LC_ALL; umask 022\n${script.standalone()}`;
  return `eval "$(printf %s ${Buffer.from(text).toString('base64')} | base64 -d)"`;
}
