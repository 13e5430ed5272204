/**
 * Errors for people. Whatever a user can get wrong is a {@link UserError}: what is wrong, where, what is allowed, what
 * to try. Any other error that ends a command is a bug in Heartwood, and is shown as one.
 */

import { Secret, SecretText } from './secret.ts';

/** A place in a file the user wrote. Lines and columns count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One thing that is wrong: every message has these parts. */
export interface Problem {
  /** What is wrong, as one sentence without a full stop: `unknown variable "prot"`. */
  readonly what: string;
  /** Where it is, when it is in a file. */
  readonly at?: Position | undefined;
  /** The host it concerns, when it concerns one. */
  readonly host?: string | undefined;
  /** What would have been right: `one of port, proto`. */
  readonly expected?: string | undefined;
  /** What to do next: `did you mean "port"?`. */
  readonly hint?: string | undefined;
}

/**
 * Exit codes, Ansible's where it has one (ansible-core `lib/ansible/executor/task_queue_manager.py`,
 * `cli/__init__.py`).
 */
export const ExitCode = {
  ok: 0,
  /** The playbook, its inventory or its variables are wrong; no host was touched. */
  error: 1,
  /** A task failed on a host. */
  failed: 2,
  /** A host could not be reached (and none failed). */
  unreachable: 4,
  /** The command line is wrong. */
  usage: 5,
  /** Stopped by Ctrl-C. */
  interrupted: 99,
  /** A bug in Heartwood. */
  bug: 250,
} as const;

/** One of {@link ExitCode}'s numbers. */
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Something the user can mend. It has all problems that were found, not only the first. */
export class UserError extends Error {
  readonly problems: readonly Problem[];
  /** The exit code of a run that this ends. */
  readonly exitCode: ExitCode;

  constructor(problems: Problem | readonly Problem[], exitCode: ExitCode = ExitCode.error) {
    const all = 'what' in problems ? [problems] : problems;
    super(all.map(formatProblem).join('\n'));
    this.name = 'UserError';
    this.problems = all;
    this.exitCode = exitCode;
  }
}

/**
 * A value that is wrong on any host: a relative path, a mode that is not a number. Where a role makes it without
 * reading facts, it is refused before anything is changed.
 */
export class InvalidValue extends UserError {}

/** The places in files that a stack names, innermost first, without those inside Node. */
export function placesIn(stack: string): readonly Position[] {
  return [...stack.matchAll(/(?:file:\/\/|\(|at (?:async )?)(\/[^():]+):(\d+):(\d+)\)?$/gm)].map(
    ([, file = '', line, column]) => ({ file, line: Number(line), column: Number(column) }),
  );
}

/** What `read` returns. An Error that it throws becomes a UserError with this place. */
export function located<T>(read: () => T, at: Position | undefined): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof UserError || !(error instanceof Error)) throw error;
    throw new UserError({ what: error.message, at });
  }
}

/** The kind of a value, for a message: `a list`. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return 'text';
  if (value instanceof Secret || value instanceof SecretText) return 'a secret';
  return typeof value === 'object' ? 'a mapping' : `a ${typeof value}`;
}

/**
 * `file:line:column`, which editors and terminals make clickable. Files below the current folder are relative to it.
 */
export function formatPosition({ file, line, column }: Position): string {
  const here = `${process.cwd()}/`;
  return `${file.startsWith(here) ? file.slice(here.length) : file}:${line}:${column}`;
}

/** A problem as text: one line, then `expected` and `hint`, indented. */
export function formatProblem(problem: Problem): string {
  const where = [problem.at && formatPosition(problem.at), problem.host].filter(Boolean).join(': ');
  const lines = [where ? `${where}: ${problem.what}` : problem.what];
  if (problem.expected) lines.push(`  allowed: ${problem.expected}`);
  if (problem.hint) lines.push(`  try: ${problem.hint}`);
  return lines.join('\n');
}

/**
 * The candidate that `word` is most likely a misspelling of, or undefined when none is near.
 * @param most How many letters may differ (insertion, deletion, substitution, swap of neighbours). Default: a third of
 *   them.
 */
export function didYouMean(
  word: string,
  candidates: Iterable<string>,
  most = Math.max(1, Math.floor(word.length / 3)),
): string | undefined {
  let best: string | undefined;
  let bestDistance = most + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Damerau-Levenshtein distance (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let distance = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(distance);
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length] ?? 0;
}
