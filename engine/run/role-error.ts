/** What a role's own functions throw, as what is wrong and where: a refusal of theirs, or a mistake in the role. */
import { fileURLToPath } from 'node:url';
import { type Position, type Problem, UserError } from '../errors.ts';

/** The problems that an error of `role` stands for. */
export function problemsOf(error: unknown, role: string): readonly Problem[] {
  if (error instanceof UserError)
    return error.problems.map((problem) => ({ ...problem, at: problem.at ?? placeOf(error) }));
  const said = error instanceof Error ? error.message : String(error);
  const tryThis = 'this is a mistake in the role; --list-tasks computes its tasks without a host';
  return [{ what: `the role ${role} broke off: ${said}`, at: placeOf(error), tryThis }];
}

/** The engine's own folder: a mistake is where the role called it. */
const ENGINE = fileURLToPath(new URL('..', import.meta.url));

/** The line that threw, or that called what threw. */
function placeOf(error: unknown): Position | undefined {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const frames = [...stack.matchAll(/(?:file:\/\/|\()?(\/[^():]+):(\d+):(\d+)\)?$/gm)];
  const [, file, line, column] =
    frames.find(([, path = '']) => !path.startsWith(ENGINE) && !path.includes('/node_modules/')) ?? [];
  return file ? { file, line: Number(line), column: Number(column) } : undefined;
}
