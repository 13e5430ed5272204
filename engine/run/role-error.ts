/** What a role's own functions throw, as what is wrong and where: a refusal of theirs, or a mistake in the role. */
import { type Position, type Problem, UserError } from '../errors.ts';

/** The problems that an error of `role` stands for. */
export function problemsOf(error: unknown, role: string): readonly Problem[] {
  if (error instanceof UserError) return error.problems;
  const said = error instanceof Error ? error.message : String(error);
  const tryThis = 'this is a mistake in the role; --list-tasks computes its tasks without a host';
  return [{ what: `the role ${role} broke off: ${said}`, at: placeOf(error), tryThis }];
}

/** The line that threw. */
function placeOf(error: unknown): Position | undefined {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const [, file, line, column] = /(?:file:\/\/|\()?(\/[^():]+):(\d+):(\d+)\)?$/m.exec(stack) ?? [];
  return file ? { file, line: Number(line), column: Number(column) } : undefined;
}
