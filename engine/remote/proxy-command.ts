/**
 * A local command as a connection (`ProxyCommand`): its stdin and stdout carry ssh, its stderr says what went wrong.
 */
import { spawn } from 'node:child_process';
import { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

/** Bytes of stderr that are kept: the last ones. */
const STDERR_LIMIT = 4096;

/**
 * Milliseconds that stderr may still take when the command has ended. A background process may hold it open for ever.
 */
const STDERR_GRACE = 200;

/** What ssh, and sshd through it, says of a connection that was dropped. */
const DROPPED =
  /(kex|ssh)_exchange_identification|Connection (closed|reset) by|Exceeded MaxStartups|Not allowed at this time/;

/** The command ended with an error, or could not be started. */
export class ProxyCommandError extends Error {
  /**
   * The command is itself an ssh (or the like) whose connection was dropped before it began, as sshd does when too many
   * log in at once (MaxStartups): worth another try.
   */
  readonly isDropped: boolean;

  constructor(how: string, stderr: string) {
    super(`the ProxyCommand ended with ${how}${stderr === '' ? '' : `: ${stderr}`}`);
    this.name = 'ProxyCommandError';
    this.isDropped = DROPPED.test(stderr);
  }
}

/** The stream of a ProxyCommand. It is destroyed with a {@link ProxyCommandError} when the command fails. */
export class ProxyStream extends Duplex {
  readonly #child;
  #stderr = '';

  /** Starts the command with `sh`. */
  constructor(command: string) {
    super();
    const child = spawn('sh', ['-c', `exec ${command}`], { stdio: 'pipe' });
    this.#child = child;
    // Writing to a command that has ended is no error of its own: how it ended is.
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on('error', () => {});
    child.stdout.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) child.stdout.pause();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-STDERR_LIMIT);
    });
    const stdoutEnded = new Promise<void>((resolve) => child.stdout.once('close', resolve));
    const stderrEnded = new Promise<void>((resolve) => child.stderr.once('close', resolve));
    child.once('error', (error) => this.destroy(new ProxyCommandError(error.message, '')));
    child.once('exit', async (code, signal) => {
      await stdoutEnded;
      await Promise.race([stderrEnded, sleep(STDERR_GRACE)]);
      if (code === 0) this.push(null);
      else this.destroy(new ProxyCommandError(signal ?? `exit code ${code}`, this.stderr));
    });
  }

  /** What the command said on stderr so far: its last lines, as one. */
  get stderr(): string {
    return this.#stderr
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '')
      .slice(-3)
      .join(' / ');
  }

  override _read(): void {
    this.#child.stdout.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#child.stdin.write(chunk, (error) => {
      // How the command ended is its 'exit' event's to say.
      if (!error) done();
    });
  }

  override _final(done: () => void): void {
    this.#child.stdin.end(() => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#child.kill();
    for (const stream of [this.#child.stdin, this.#child.stdout, this.#child.stderr]) stream.destroy();
    done(error);
  }
}
