/** Asks for passwords: without echo at a terminal, one line each from stdin elsewhere (as `sudo -S` reads it). */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { ExitCode, UserError } from '../errors.ts';
import { Secret } from '../secret.ts';

/** Signals that end the process. At a prompt the terminal must get its echo back first. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * One answer for each prompt, all from one reader: a second one would miss what the first had already read from a pipe.
 * @throws UserError when stdin ends before every line is there (exit code 5), and on Ctrl-C (99).
 */
export async function askPasswords(prompts: readonly string[]): Promise<readonly Secret[]> {
  if (prompts.length === 0) return [];
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: process.stdin, output: silent, terminal: process.stdin.isTTY === true });
  const lines = reader[Symbol.asyncIterator]();
  let interrupted = false;
  const interrupt = (): void => {
    interrupted = true;
    reader.close();
  };
  // At a terminal Ctrl-C is a character that the reader sees; elsewhere, and from others, it is a signal.
  reader.on('SIGINT', interrupt);
  for (const signal of SIGNALS) process.on(signal, interrupt);
  const answers: Secret[] = [];
  try {
    for (const prompt of prompts) {
      process.stderr.write(prompt);
      const { value, done } = await lines.next();
      process.stderr.write('\n');
      if (interrupted) throw new UserError({ what: 'stopped by you; no host was touched' }, ExitCode.interrupted);
      if (done) {
        throw new UserError(
          { what: `${prompt.trim()} nothing came on standard input`, hint: 'type it, or pipe it in' },
          ExitCode.usage,
        );
      }
      answers.push(new Secret(value));
    }
    return answers;
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupt);
    reader.close();
  }
}
