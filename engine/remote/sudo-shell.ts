/**
 * Opens a POSIX shell on a link, as another user where asked to. A password goes to sudo's stdin when sudo asks for it, and
 * only then, so that it can never reach the shell as a command.
 */
import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import { quote } from '../script.ts';
import { mask } from '../secret.ts';
import type { Channel, Link } from './link.ts';
import { type Become, LinkError } from './session.ts';
import { sudoProblem } from './sudo-problem.ts';

/** A shell that waits for commands on its stdin. */
export interface Shell {
  readonly channel: Channel;
  /** Its process id on the host. */
  readonly pid: number;
  /** Answers that were waited for: that there is a channel, its first line, and sudo's question. */
  readonly roundTrips: number;
  /** What it printed behind its first line; nothing, unless a login script runs on in the background. */
  readonly rest: Buffer;
}

/** Bytes of login chatter that are looked through for the shell's first line. */
const CHATTER_LIMIT = 256 * 1024;

/**
 * Starts `sh`, under sudo where `become` is given.
 * @param seconds How long it may take.
 * @param command What the shell does then, without single quotes; it reads commands from its stdin otherwise.
 * @throws LinkError in phase `become` (sudo did not let us) or `connect` (no shell).
 */
export async function openShell(
  link: Link,
  host: string,
  become: Become | undefined,
  seconds: number,
  command = 'exec sh',
): Promise<Shell> {
  const token = randomBytes(8).toString('hex');
  const channel = await link.open(shellCommand(token, become, command));
  try {
    return await greet(channel, host, become, token, seconds);
  } catch (error) {
    channel.close();
    throw error;
  }
}

/** LC_ALL=C: sudo's own words are read below. */
function shellCommand(token: string, become: Become | undefined, command: string): string {
  const shell = `sh -c 'echo hw-shell-${token} $$; ${command}'`;
  if (!become) return `exec ${shell}`;
  const ask = become.password ? `-S -p hw-password-${token}` : '-n';
  return `exec env LC_ALL=C sudo -H ${ask} -u ${quote(become.user)} -- ${shell}`;
}

/** Waits for the shell's first line, answering sudo's question once. */
function greet(
  channel: Channel,
  host: string,
  become: Become | undefined,
  token: string,
  seconds: number,
): Promise<Shell> {
  const prompt = `hw-password-${token}`;
  const hello = new RegExp(`hw-shell-${token} (\\d+)\\n`);
  let said = '';
  let complained = '';
  let asked = 0;
  return new Promise((resolve, reject) => {
    const finish = (): void => {
      clearTimeout(timer);
      channel.stdout.off('data', onStdout);
      channel.stderr.off('data', onStderr);
    };
    const fail = (why: 'ended' | 'asked twice' | 'silent'): void => {
      finish();
      const words = mask(complained.replaceAll(prompt, '').trim() || said.trim());
      reject(become ? new LinkError('become', sudoProblem(host, become, why, words)) : noShell(host, why, words));
    };
    const timer = setTimeout(() => fail('silent'), seconds * 1000);
    // latin1 keeps bytes and characters in step, so that what follows the first line can be given back as it came.
    const onStdout = (chunk: Buffer): void => {
      said = (said + chunk.toString('latin1')).slice(-CHATTER_LIMIT);
      const found = hello.exec(said);
      if (!found) return;
      finish();
      pauseBoth(channel.stdout, channel.stderr);
      const rest = Buffer.from(said.slice(found.index + found[0].length), 'latin1');
      resolve({ channel, pid: Number(found[1]), roundTrips: 2 + asked, rest });
    };
    const onStderr = (chunk: Buffer): void => {
      complained = (complained + chunk.toString()).slice(-CHATTER_LIMIT);
      const times = complained.split(prompt).length - 1;
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

/** Until the next reader attaches, so that nothing is lost between. */
function pauseBoth(...streams: Readable[]): void {
  for (const stream of streams) stream.pause();
}

function noShell(host: string, why: 'ended' | 'asked twice' | 'silent', words: string): LinkError {
  const what =
    why === 'silent' ? 'logged in, but no shell started in time' : 'logged in, but no shell would start for this user';
  return new LinkError('connect', {
    what: words ? `${what}: ${words.split('\n').at(-1)}` : what,
    host,
    hint: 'see that the user has a login shell, and that nothing in its login files waits, exits or changes shells',
  });
}
