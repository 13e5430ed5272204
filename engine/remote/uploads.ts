/**
 * What goes over channels of its own, beside the session's shell: contents to a host, each on the stdin of a script, what a
 * script prints, back, and what one shell is to do to another.
 */
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import pLimit from 'p-limit';
import { type Script, sh } from '../script.ts';
import type { TrafficCounter } from '../traffic.ts';
import { BoundedOutput } from './bounded-output.ts';
import { skippedResult } from './decode-results.ts';
import { killShellScript } from './kill-process-tree.ts';
import type { Link } from './link.ts';
import type { Connection, StepResult, UploadStep } from './session.ts';
import { openShell } from './sudo-shell.ts';
import { after } from './timer.ts';

/**
 * Transfers at once. Several go faster than one over a distance: a channel has no more than 2 MB on its way (sshd's window).
 * sshd grants ten channels (MaxSessions), the shell's among them; where it grants fewer, they take turns.
 */
const UPLOADS_AT_ONCE = 3;

/** Seconds that what is ended has for it; then it is not waited for. Ending it takes 6 s at most (stop-script.ts). */
const END_GRACE = 10;

/** How something under way is ended from here. */
export type EndReason = 'timed out' | 'interrupted';

/** A transfer under way. */
interface ActiveUpload {
  end(how: EndReason): void;
  /** There is headway. */
  refresh(): void;
}

/** A row of transfers, a few of them at once. */
export class UploadQueue {
  readonly #link: Link;
  readonly #connection: Connection;
  readonly #traffic: TrafficCounter;
  readonly #going = new Set<ActiveUpload>();
  #isStopped = false;

  /** @param traffic Where the row counts what it sends and hears. */
  constructor(link: Link, connection: Connection, traffic: TrafficCounter) {
    this.#link = link;
    this.#connection = connection;
    this.#traffic = traffic;
  }

  /**
   * Sends them.
   * @param unpacks Does the host unpack what is packed?
   * @returns their results, in their order; undefined when the connection was lost on the way.
   * @throws LinkError where no channel can be had.
   */
  async send(transfers: readonly UploadStep[], unpacks: boolean): Promise<readonly StepResult[] | undefined> {
    const slot = pLimit(UPLOADS_AT_ONCE);
    const begin = (transfer: UploadStep) =>
      this.#isStopped ? skippedResult(transfer) : this.#transfer(transfer, transfer.compressible === true && unpacks);
    const ended = await Promise.allSettled(transfers.map((transfer) => slot(begin, transfer)));
    if (ended.some((end) => end.status === 'fulfilled' && end.value === undefined)) return undefined;
    return ended.flatMap((end) => {
      if (end.status === 'rejected') throw end.reason;
      return end.value ?? [];
    });
  }

  /** Begins none any more, and ends those that are under way, where it is `now`. */
  stop(how: 'after this step' | 'now'): void {
    this.#isStopped = true;
    if (how === 'now') for (const each of this.#going) each.end('interrupted');
  }

  /** @returns undefined when the connection was lost. */
  async #transfer({ id, script, timeout, content }: UploadStep, isPacked: boolean): Promise<StepResult | undefined> {
    const { name, become } = this.#connection;
    const start = performance.now();
    let ending: EndReason | undefined;
    let close = (): void => {};
    const end = (how: EndReason): void => {
      if (ending) return;
      ending = how;
      close();
    };
    let stalled: NodeJS.Timeout | undefined;
    const own: ActiveUpload = { end, refresh: () => void stalled?.refresh() };
    this.#going.add(own);
    const [stdout, stderr] = [new BoundedOutput(), new BoundedOutput()];
    let unread: Error | undefined;
    let code: number | undefined;
    try {
      const unpacked = isPacked ? sh`gzip -dc | {\n${script}\n}` : script;
      const { channel, roundTrips, pid } = await openShell(this.#link, name, become, timeout, evaluated(unpacked));
      this.#traffic.roundTrips += roundTrips + 1;
      // What others of the row send is before it in the line: it may take as long as headway may.
      stalled = after(timeout, () => end('timed out'));
      // sshd says that a channel is closed when its command has ended, which may be never.
      const givenUp = new Promise<undefined>((resolve) => {
        close = () => {
          channel.close();
          after(END_GRACE, () => resolve(undefined)).unref();
          void runBeside(this.#link, this.#connection, killShellScript(pid)).then(
            () => resolve(undefined),
            () => {},
          );
        };
      });
      if (ending) close();
      const listen = (kept: BoundedOutput) => (chunk: Buffer) => {
        this.#traffic.bytesIn += chunk.length;
        kept.add(chunk);
      };
      channel.stdout.on('data', listen(stdout)).resume();
      channel.stderr.on('data', listen(stderr)).resume();
      // The far side may end before it has read all, which is no fault of the content's; how it ended says why.
      let isRead = true;
      for (const event of ['error', 'close']) channel.stdin.once(event, () => (isRead = false));
      const source = content();
      source.once('error', (error) => {
        if (isRead) unread = error;
      });
      const sent = isPacked ? [source, createGzip({ level: 1 })] : [source];
      sent.at(-1)?.on('data', (chunk: Buffer) => {
        this.#traffic.bytesOut += chunk.length;
        for (const each of this.#going) each.refresh();
      });
      const taken = pipeline([...sent, channel.stdin])
        .catch(() => {})
        .then(() => channel.ended);
      code = (await Promise.race([taken, givenUp]))?.code;
      source.destroy();
    } finally {
      clearTimeout(stalled);
      this.#going.delete(own);
    }
    if (unread) {
      stderr.add(Buffer.from(`${unread.message}\n`));
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

/** Has a shell of its own on the host do something to others. */
export async function runBeside(
  link: Link,
  { name, become, connectTimeout }: Connection,
  script: string,
): Promise<void> {
  const { channel } = await openShell(link, name, become, connectTimeout);
  channel.stdout.resume();
  channel.stderr.resume();
  channel.stdin.end(script);
  await channel.ended;
}

/** What a script prints, byte for byte. The stream fails where the script does, or can't be run. */
export function readOutput(link: Link, connection: Connection, script: Script): Readable {
  const out = new PassThrough();
  void pour(link, connection, script, out).catch((error) => out.destroy(error));
  return out;
}

async function pour(
  link: Link,
  { name, become, connectTimeout }: Connection,
  script: Script,
  out: PassThrough,
): Promise<void> {
  const { channel, rest } = await openShell(link, name, become, connectTimeout, evaluated(script));
  const said = new BoundedOutput();
  try {
    channel.stdin.end();
    channel.stderr.on('data', (chunk: Buffer) => said.add(chunk)).resume();
    out.write(rest);
    await pipeline(channel.stdout, out, { end: false });
    const { code } = await channel.ended;
    if (code !== 0) {
      const why = code === undefined ? 'lost the connection' : `exit code ${code}`;
      throw new Error(`${name}: ${said.take().toString().trim() || why}`);
    }
    out.end();
  } finally {
    channel.close();
  }
}

/** A script as the command of a shell that has content on its stdin, and none of the session's prelude. */
function evaluated(script: Script): string {
  const text = `LC_ALL=C; export LC_ALL; umask 022\n${script.standalone()}`;
  return `eval "$(printf %s ${Buffer.from(text).toString('base64')} | base64 -d)"`;
}
