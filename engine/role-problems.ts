/**
 * What a role's or a resource's own code throws, as what is wrong and where: a refusal of its own, or a mistake in it.
 */
import { fileURLToPath } from 'node:url';
import { type Position, type Problem, placesIn, UserError } from './errors.ts';

/** The problems that an error of `role` stands for. */
export function roleProblems(error: unknown, role: string): readonly Problem[] {
  return codeProblems(
    error,
    `the role ${role}`,
    'this is a mistake in the role; --list-tasks computes its tasks without a host',
  );
}

/** The problems that an error of somebody's code stands for. `mistake` is the hint where the code throws as it runs. */
export function codeProblems(error: unknown, subject: string, mistake: string): readonly Problem[] {
  if (error instanceof UserError)
    return error.problems.map((problem) => ({ ...problem, at: problem.at ?? placeOf(error) }));
  const said = error instanceof Error ? error.message : String(error);
  const uncompiled = compileErrors(said);
  if (uncompiled.length > 0) {
    return uncompiled.map(({ text, at }) => ({ what: `${subject} does not compile: ${text}`, at }));
  }
  const importer = importerOf(error);
  if (importer !== undefined) {
    const what = `${subject} does not load: ${importProblem(said)}${said.includes(importer) ? '' : `, in ${importer}`}`;
    return [{ what, hint: 'npx tsc --noEmit finds every wrong import' }];
  }
  return [{ what: `${subject} broke off: ${said}`, at: placeOf(error), hint: mistake }];
}

/** As esbuild says them, through tsx: `FILE:LINE:COLUMN: ERROR: TEXT`, columns from 0. */
function compileErrors(said: string): readonly { readonly text: string; readonly at: Position }[] {
  return [...said.matchAll(/^(\/.*):(\d+):(\d+): ERROR: (.*)$/gm)].map(([, file = '', line, column, text = '']) => ({
    text,
    at: { file, line: Number(line), column: Number(column) + 1 },
  }));
}

/** What Node says of a missing export, shorter. */
function importProblem(said: string): string {
  const [, module, name] = /^The requested module '(.*)' does not provide an export named '(.*)'/.exec(said) ?? [];
  return module === undefined ? said : `${module} has no export "${name}"`;
}

/**
 * The module whose import leads nowhere. Of an export that is not there, Node names it in the stack alone, with a line
 * of what tsx made of it.
 */
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
