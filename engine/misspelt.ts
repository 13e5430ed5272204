/**
 * Options that are none. Playbooks and roles run without being type-checked, and an option that is misspelt would be left out
 * in silence.
 */
import { didYouMean, type Position, type Problem, UserError } from './errors.ts';

/** Every option that a `T` may have. */
export type Names<T> = Readonly<Record<keyof T, true>>;

/**
 * A problem for each name that is none of `names`.
 * @param subject What it is a name of: `task "motd" has an option`.
 * @param names Those there are, as keys.
 * @param at Where. Asked only where there is a problem.
 */
export function misspelt(
  subject: string,
  given: readonly string[],
  names: Readonly<Record<string, unknown>>,
  at?: () => Position | undefined,
): readonly Problem[] {
  const strays = given.filter((name) => !Object.hasOwn(names, name));
  // Asked for every task of every host.
  if (strays.length === 0) return NONE;
  const known = Object.keys(names);
  return strays.map((name): Problem => {
    const near = didYouMean(name, known);
    return {
      what: `${subject} that is none: ${name}`,
      at: at?.(),
      allowed: known.join(', '),
      ...(near ? { tryThis: `did you mean ${near}?` } : {}),
    };
  });
}

const NONE: readonly Problem[] = [];

/** What a role throws that misspells an option: whatever the facts, so that it is known before its time has come. */
export class MisspeltOption extends UserError {}

/** The options of a resource, checked. @throws MisspeltOption on those that are none. */
export function checkOptions<T extends object>(subject: string, given: T, names: Names<T>): void {
  const problems = misspelt(`${subject} has an option`, Object.keys(given), names);
  if (problems.length > 0) throw new MisspeltOption(problems);
}
