/**
 * Opens a POSIX shell on a link, as another user where asked to. A password goes to sudo's stdin when sudo asks for it,
 * and only then, so that it can never reach the shell as a command.
 */
import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import { quote } from '../script.ts';
import { mask } from '../secret.ts';
import type { Channel, Link } from './link.ts';
import { MACHINE_ID_WORDS, parseMachineId } from './machine-id.ts';
import { type Connection, LinkError } from './session.ts';
import { sudoProblem } from './sudo-problem.ts';

/** A shell that waits for commands on its stdin. */
export interface Shell {
  readonly channel: Channel;
  /** Its process id on the host. */
  readonly pid: number;
  /** See machine-id.ts; undefined where that was not asked for or is not known. */
  readonly machine: string | undefined;
  /** Answers that were waited for: that there is a channel, its first line, and sudo's question. */
  readonly roundTrips: number;
  /** What it printed after its first line; nothing, unless a login script runs on in the background. */
  readonly rest: Buffer;
}

/** What {@link openShell} opens. */
export interface ShellRequest extends Pick<Connection, 'name' | 'become'> {
  /** Seconds it may take until the shell is there. */
  readonly timeout: number;
  /** What the shell does, without single quotes. Default: it reads commands from its stdin. */
  readonly command?: string | undefined;
  /** Ask for the id of the machine, with the first line. */
  readonly identify?: boolean;
}

/** Bytes of login output that are searched for the shell's first line. */
const LOGIN_OUTPUT_LIMIT = 256 * 1024;

/**
 * Starts `sh`, under sudo where `become` is given.
 * @throws LinkError in phase `become` (sudo did not let us) or `connect` (no shell).
 */
export async function openShell(link: Link, request: ShellRequest): Promise<Shell> {
  const token = randomBytes(8).toString('hex');
  const channel = await link.open(shellCommand(token, request));
  try {
    return await firstLine(channel, request, token);
  } catch (error) {
    channel.close();
    throw error;
  }
}

/** LC_ALL=C: sudo's messages are read (sudo-problem.ts). */
function shellCommand(token: string, { become, command = 'exec sh', identify }: ShellRequest): string {
  const shell = `sh -c 'echo hw-shell-${token} $$${identify ? ` ${MACHINE_ID_WORDS}` : ''}; ${command}'`;
  if (!become) return `exec ${shell}`;
  const ask = become.password ? `-S -p hw-password-${token}` : '-n';
  return `exec env LC_ALL=C sudo -H ${ask} -u ${quote(become.user)} -- ${shell}`;
}

/** Waits for the shell's first line, answering sudo's question once. */
function firstLine(channel: Channel, { name, become, timeout }: ShellRequest, token: string): Promise<Shell> {
  const prompt = `hw-password-${token}`;
  const wanted = new RegExp(`hw-shell-${token} (\\d+)(.*)\\n`);
  let stdout = '';
  let stderr = '';
  let asked = 0;
  return new Promise((resolve, reject) => {
    const finish = (): void => {
      clearTimeout(timer);
      channel.stdout.off('data', onStdout);
      channel.stderr.off('data', onStderr);
    };
    const fail = (why: 'ended' | 'asked twice' | 'silent'): void => {
      finish();
      const message = mask(stderr.replaceAll(prompt, '').trim() || stdout.trim());
      reject(become ? new LinkError('become', sudoProblem(name, become, why, message)) : noShell(name, why, message));
    };
    const timer = setTimeout(() => fail('silent'), timeout * 1000);
    // latin1 keeps bytes and characters in step, so that what follows the first line can be given back byte for byte.
    const onStdout = (chunk: Buffer): void => {
      stdout = (stdout + chunk.toString('latin1')).slice(-LOGIN_OUTPUT_LIMIT);
      const found = wanted.exec(stdout);
      if (!found) return;
      finish();
      pauseBoth(channel.stdout, channel.stderr);
      const [line, pid, machine = ''] = found;
      const rest = Buffer.from(stdout.slice(found.index + line.length), 'latin1');
      resolve({ channel, pid: Number(pid), machine: parseMachineId(machine), roundTrips: 2 + asked, rest });
    };
    const onStderr = (chunk: Buffer): void => {
      stderr = (stderr + chunk.toString()).slice(-LOGIN_OUTPUT_LIMIT);
      const times = stderr.split(prompt).length - 1;
      if (times <= asked || !become?.password) return;
      asked = times;
      if (times > 1) fail('asked twice');
      else channel.stdin.write(`${become.password.reveal()}\n`);
    };
    channel.stdout.on('data', onStdout);
    channel.stderr.on('data', onStderr);
    void channel.ended.then(() => fail('ended'));
  });
}

/** Until the next reader attaches, so that nothing is lost in between. */
function pauseBoth(...streams: Readable[]): void {
  for (const stream of streams) stream.pause();
}

function noShell(host: string, why: 'ended' | 'asked twice' | 'silent', message: string): LinkError {
  const what =
    why === 'silent' ? 'logged in, but no shell started in time' : 'logged in, but no shell would start for this user';
  return new LinkError('connect', {
    what: message ? `${what}: ${message.split('\n').at(-1)}` : what,
    host,
    hint: 'see that the user has a login shell, and that nothing in its login files waits, exits or changes shells',
  });
}
