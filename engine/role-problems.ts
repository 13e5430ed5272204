/** What a role's own functions throw, as what is wrong and where: a refusal of theirs, or a mistake in the role. */
import { fileURLToPath } from 'node:url';
import { type Position, type Problem, placesIn, UserError } from './errors.ts';

/** The problems that an error of `role` stands for. */
export function roleProblems(error: unknown, role: string): readonly Problem[] {
  if (error instanceof UserError)
    return error.problems.map((problem) => ({ ...problem, at: problem.at ?? placeOf(error) }));
  const said = error instanceof Error ? error.message : String(error);
  const uncompiled = compileErrors(said);
  if (uncompiled.length > 0) {
    return uncompiled.map(({ text, at }) => ({ what: `the role ${role} does not compile: ${text}`, at }));
  }
  const importer = importerOf(error);
  if (importer !== undefined) {
    const what = `the role ${role} does not load: ${said}${said.includes(importer) ? '' : `, in ${importer}`}`;
    return [{ what, hint: 'npx tsc --noEmit finds every wrong import' }];
  }
  const hint = 'this is a mistake in the role; --list-tasks computes its tasks without a host';
  return [{ what: `the role ${role} broke off: ${said}`, at: placeOf(error), hint }];
}

/** As esbuild says them, through tsx: `FILE:LINE:COLUMN: ERROR: TEXT`, columns from 0. */
function compileErrors(said: string): readonly { readonly text: string; readonly at: Position }[] {
  return [...said.matchAll(/^(\/.*):(\d+):(\d+): ERROR: (.*)$/gm)].map(([, file = '', line, column, text = '']) => ({
    text,
    at: { file, line: Number(line), column: Number(column) + 1 },
  }));
}

/** The module whose import leads nowhere. Of an export that is not there, Node names it in the stack alone, with a line of what tsx made of it. */
function importerOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { message, stack = '' } = error;
  if (message.startsWith('The requested module')) return /^(\/.*):\d+\n/.exec(stack)?.[1];
  return /^Cannot find .* imported from (\/.*)$/m.exec(message)?.[1];
}

/** The engine's own folder: a mistake is where the role called it. */
const ENGINE = fileURLToPath(new URL('.', import.meta.url));

/** The line that threw, or that called what threw. */
function placeOf(error: unknown): Position | undefined {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  return placesIn(stack).find(({ file }) => !file.startsWith(ENGINE) && !file.includes('/node_modules/'));
}
