/** Asks for a password: without echo at a terminal, one line from stdin elsewhere (as `sudo -S` reads it). */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { ExitCode, UserError } from '../errors.ts';
import { Secret } from '../secret.ts';

/** @throws UserError when stdin ends before a line is there. */
export async function askPassword(prompt: string): Promise<Secret> {
  process.stderr.write(prompt);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: process.stdin.isTTY === true });
  try {
    for await (const line of lines) return new Secret(line);
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
  throw new UserError(
    { what: `${prompt.trim()} nothing came on standard input`, tryThis: 'type it, or pipe it in' },
    ExitCode.usage,
  );
}
