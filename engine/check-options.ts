/**
 * Options that are misspelt, missing, or of the wrong kind. Playbooks and roles run without being type-checked, and an option
 * that is misspelt would be left out in silence, a "no" be taken for a yes.
 */
import { didYouMean, kindOf, type Position, type Problem, UserError, WrongValue } from './errors.ts';

/** Every option that a `T` may have, and those that it must. */
export type Names<T> = { readonly [Name in keyof T]-?: undefined extends T[Name] ? true : 'needed' };

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
      allowed: known.join(', ') || 'none',
      ...(near ? { tryThis: `did you mean ${near}?` } : {}),
    };
  });
}

const NONE: readonly Problem[] = [];

/** A problem for each name that is needed and not given. @param subject Where: `the checks of role firewall`. */
export function missing(
  subject: string,
  given: object,
  names: Readonly<Record<string, unknown>>,
  at?: () => Position | undefined,
): readonly Problem[] {
  const known = Object.keys(names);
  const leftOut = known.filter(
    (name) => names[name] === 'needed' && (Reflect.get(given, name) ?? undefined) === undefined,
  );
  if (leftOut.length === 0) return NONE;
  return leftOut.map((name) => ({ what: `${name} is missing in ${subject}`, at: at?.(), allowed: known.join(', ') }));
}

/** What a value must be. */
export interface Kind {
  /** In words: `true, false`. */
  readonly allowed: string;
  fits(value: unknown): boolean;
}

/** A boolean: text, "no" as well, would count as true. */
export const YES_OR_NO: Kind = { allowed: 'true, false', fits: (value) => typeof value === 'boolean' };
/** A function. */
export const FUNCTION: Kind = { allowed: 'a function', fits: (value) => typeof value === 'function' };
/** A list of text. One word alone would count letter by letter. */
export const WORDS: Kind = {
  allowed: 'a list of words: ["net"]',
  fits: (value) => Array.isArray(value) && value.every((word) => typeof word === 'string'),
};

/** A problem for each value that is given and is not of its kind. @param subject Whose: `task "motd"`. */
export function unfit(
  subject: string,
  given: object,
  kinds: Readonly<Record<string, Kind>>,
  at?: () => Position | undefined,
): readonly Problem[] {
  // Asked for every task of every host.
  const wrong = Object.entries(kinds).filter(([name, kind]) => {
    const value: unknown = Reflect.get(given, name);
    return value !== undefined && !kind.fits(value);
  });
  if (wrong.length === 0) return NONE;
  return wrong.map(([name, { allowed }]) => {
    const value: unknown = Reflect.get(given, name);
    const isPlain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
    return { what: `${subject}: ${name} is ${isPlain ? JSON.stringify(value) : kindOf(value)}`, at: at?.(), allowed };
  });
}

/** What a role throws that misspells an option: whatever the facts, so that it is known before its time has come. */
export class MisspeltOption extends UserError {}

/** The options of a resource, checked. @throws MisspeltOption on those that are none; WrongValue where one is missing. */
export function checkOptions<T extends object>(subject: string, given: T, names: Names<T>): void {
  if (typeof given !== 'object' || given === null) {
    throw new WrongValue({
      what: `the options of ${subject} are ${kindOf(given)}`,
      allowed: Object.keys(names).join(', '),
    });
  }
  const problems = misspelt(`${subject} has an option`, Object.keys(given), names);
  if (problems.length > 0) throw new MisspeltOption(problems);
  const leftOut = missing(subject, given, names);
  if (leftOut.length > 0) throw new WrongValue(leftOut);
}
