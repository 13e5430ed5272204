/** What an ssh link offers to log in, in which order, and what it tried, for messages. */
import { readFile } from 'node:fs/promises';
import type { AnyAuthMethod, AuthHandlerMiddleware, ParsedKey } from 'ssh2';
import type { SshTarget } from './ssh-target.ts';

interface Attempt {
  readonly method: string;
  /** `key ~/.ssh/id_ed25519`. */
  readonly label: string;
  readonly auth: AnyAuthMethod;
}

/** Offers keys, agent and password to one host, one after the other. */
export class SshAuth {
  /** What was offered, in order, and what could not be and why. */
  readonly tried: string[];
  /** The methods that the host said it accepts; empty until it refused something. */
  accepted: readonly string[] = [];
  readonly #attempts: Attempt[];

  private constructor(attempts: readonly Attempt[], unusable: readonly string[]) {
    this.#attempts = [...attempts];
    this.tried = [...unusable];
  }

  /**
   * Reads the keys.
   * @param parseKey ssh2's `utils.parseKey`.
   */
  static async prepare(
    target: SshTarget,
    parseKey: (data: Buffer) => ParsedKey | ParsedKey[] | Error,
  ): Promise<SshAuth> {
    const { user: username, password, auth } = target;
    const unusable: string[] = [];
    const keys: Attempt[] = [];
    for (const { file, required } of auth.keys) {
      const key = await readKey(file, parseKey);
      if (key === undefined && !required) continue;
      if (key === undefined || typeof key === 'string')
        unusable.push(`key ${file} (${key ?? 'not there'}, not offered)`);
      else keys.push({ method: 'publickey', label: `key ${file}`, auth: { type: 'publickey', username, key } });
    }
    const agent: Attempt[] = auth.agent
      ? [{ method: 'publickey', label: 'keys of the agent', auth: { type: 'agent', username, agent: auth.agent } }]
      : [];
    const attempts = auth.agentFirst ? [...agent, ...keys] : [...keys, ...agent];
    if (password) {
      const secret = password.reveal();
      attempts.push({ method: 'password', label: 'password', auth: { type: 'password', username, password: secret } });
      attempts.push({
        method: 'keyboard-interactive',
        label: 'password (keyboard-interactive)',
        auth: { type: 'keyboard-interactive', username, prompt: answerOnce(secret) },
      });
    }
    const byPreference = (a: Attempt, b: Attempt) => auth.methods.indexOf(a.method) - auth.methods.indexOf(b.method);
    const wanted = attempts.filter(({ method }) => auth.methods.includes(method)).sort(byPreference);
    // Some hosts let in without any (a VPN has checked); tried last, because it costs a round trip.
    wanted.push({ method: 'none', label: 'nothing', auth: { type: 'none', username } });
    return new SshAuth(wanted, unusable);
  }

  /** For ssh2's `authHandler`. */
  readonly handler: AuthHandlerMiddleware = (left, _partial, next) => {
    // Null at first, whatever the types say.
    if (left) this.accepted = left;
    const attempt = this.#attempts.shift();
    if (!attempt) {
      // `false` ends it, which the types do not know.
      next(false as never);
    } else if (left && attempt.method !== 'none' && !this.accepted.includes(attempt.method)) {
      this.handler(left, _partial, next);
    } else {
      if (attempt.method !== 'none') this.tried.push(attempt.label);
      next(attempt.auth);
    }
  };
}

/** A private key, or why it cannot be used; undefined when there is none. */
async function readKey(
  file: string,
  parseKey: (data: Buffer) => ParsedKey | ParsedKey[] | Error,
): Promise<ParsedKey | string | undefined> {
  let data: Buffer;
  try {
    data = await readFile(file);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    return code === 'ENOENT' ? undefined : `not readable: ${code}`;
  }
  const parsed = parseKey(data);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key === undefined) return 'empty';
  if (key instanceof Error) return /encrypted/i.test(key.message) ? 'encrypted: add it to ssh-agent' : key.message;
  return key.isPrivateKey() ? key : 'not a private key';
}

/** Answers hidden questions with the password, the first time; what is asked again was not about the password. */
function answerOnce(password: string) {
  let asked = false;
  return (
    _name: string,
    _instructions: string,
    _lang: string,
    prompts: readonly { readonly echo?: boolean }[],
    finish: (answers: string[]) => void,
  ): void => {
    const answer = asked ? '' : password;
    asked = asked || prompts.length > 0;
    finish(prompts.map(({ echo }) => (echo ? '' : answer)));
  };
}
