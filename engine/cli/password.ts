/** Asks for passwords: without echo at a terminal, a line each from stdin elsewhere (as `sudo -S` reads it). */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { ExitCode, UserError } from '../errors.ts';
import { Secret } from '../secret.ts';

/**
 * One answer for each prompt, from one reader: a second one would miss what the first had already taken from a pipe.
 * @throws UserError when stdin ends before every line is there.
 */
export async function askPasswords(prompts: readonly string[]): Promise<readonly Secret[]> {
  if (prompts.length === 0) return [];
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: process.stdin, output: silent, terminal: process.stdin.isTTY === true });
  const lines = reader[Symbol.asyncIterator]();
  const answers: Secret[] = [];
  try {
    for (const prompt of prompts) {
      process.stderr.write(prompt);
      const { value, done } = await lines.next();
      process.stderr.write('\n');
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
    reader.close();
  }
}
