/** The transport for the machine we are on: commands are child processes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { FREE, NO_TRAFFIC } from '../traffic.ts';
import { userName } from '../user-name.ts';
import type { Channel, ChannelEnd, Link } from './link.ts';

/** A {@link Link} to this machine. */
export class LocalLink implements Link {
  readonly user = userName();
  readonly opening = { connect: FREE, authenticate: FREE };
  readonly wire = NO_TRAFFIC;
  readonly closed: Promise<string>;
  readonly #channels = new Set<Channel>();
  #setClosed: (why: string) => void = () => {};

  constructor() {
    this.closed = new Promise((resolve) => {
      this.#setClosed = resolve;
    });
  }

  async open(command: string): Promise<Channel> {
    // Detached: a session (as in setsid) of its own, as sshd gives one to every command.
    const child = spawn('sh', ['-c', command], { stdio: 'pipe', detached: true });
    const ended = new Promise<ChannelEnd>((resolve) => {
      child.once('error', () => resolve({ code: undefined, signal: undefined }));
      child.once('close', (code, signal) => resolve({ code: code ?? undefined, signal: signal ?? undefined }));
    });
    // Writing to a command that has ended is no error of its own: `ended` says so.
    child.stdin.on('error', () => {});
    const close = (): void => {
      child.stdin.destroy();
      child.stdout.destroy();
      child.stderr.destroy();
      try {
        if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It ended meanwhile, or is another user's and notices that its streams are closed.
      }
    };
    const channel: Channel = { stdin: child.stdin, stdout: child.stdout, stderr: child.stderr, ended, close };
    this.#channels.add(channel);
    void ended.then(() => this.#channels.delete(channel));
    if (child.pid === undefined) await once(child, 'spawn');
    return channel;
  }

  async close(): Promise<void> {
    const open = [...this.#channels];
    for (const channel of open) channel.close();
    await Promise.all(open.map(({ ended }) => ended));
    this.#setClosed('it was closed');
  }
}
