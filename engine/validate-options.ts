/**
 * Options that are misspelt, missing, or of the wrong kind. Playbooks and roles run without being type-checked, and an option
 * that is misspelt would be left out in silence, a "no" be taken for a yes.
 */
import { didYouMean, InvalidValue, kindOf, type Position, type Problem, UserError } from './errors.ts';

/** Every option that a `T` may have, and those that it must. */
export type Names<T> = { readonly [Name in keyof T]-?: undefined extends T[Name] ? true : 'needed' };

/**
 * A problem for each name that is unknown: `unknown option "notfy" in task "Config"`.
 * @param noun What kind of name it is: `option`, `keyword`, `handler`.
 * @param where What it stands in: `task "Config"`.
 * @param names The known names, as keys.
 * @param at The position. Computed only where there is a problem.
 */
export function unknownKeys(
  noun: string,
  where: string,
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
      what: `unknown ${noun} "${name}" in ${where}`,
      at: at?.(),
      expected: known.join(', ') || 'none',
      ...(near ? { hint: `did you mean "${near}"?` } : {}),
    };
  });
}

const NONE: readonly Problem[] = [];

/** A problem for each name that is needed and not given: `missing option "content" in file`. Parameters as in {@link unknownKeys}. */
export function missingKeys(
  noun: string,
  where: string,
  given: object,
  names: Readonly<Record<string, unknown>>,
  at?: () => Position | undefined,
): readonly Problem[] {
  const known = Object.keys(names);
  const leftOut = known.filter(
    (name) => names[name] === 'needed' && (Reflect.get(given, name) ?? undefined) === undefined,
  );
  if (leftOut.length === 0) return NONE;
  return leftOut.map((name) => ({
    what: `missing ${noun} "${name}" in ${where}`,
    at: at?.(),
    expected: known.join(', '),
  }));
}

/** What a value must be. */
export interface ValueType {
  /** In words: `true, false`. */
  readonly expected: string;
  fits(value: unknown): boolean;
}

/** A boolean: text, "no" as well, would count as true. */
export const BOOLEAN: ValueType = { expected: 'true, false', fits: (value) => typeof value === 'boolean' };
/** A function. */
export const FUNCTION: ValueType = { expected: 'a function', fits: (value) => typeof value === 'function' };
/** A list of text. One word alone would count letter by letter. */
export const STRING_LIST: ValueType = {
  expected: 'a list of words: ["net"]',
  fits: (value) => Array.isArray(value) && value.every((word) => typeof word === 'string'),
};

/** A problem for each value that is given and is not of its kind. @param subject Whose: `task "motd"`. */
export function wrongTypes(
  subject: string,
  given: object,
  kinds: Readonly<Record<string, ValueType>>,
  at?: () => Position | undefined,
): readonly Problem[] {
  // Asked for every task of every host.
  const wrong = Object.entries(kinds).filter(([name, kind]) => {
    const value: unknown = Reflect.get(given, name);
    return value !== undefined && !kind.fits(value);
  });
  if (wrong.length === 0) return NONE;
  return wrong.map(([name, { expected }]) => {
    const value: unknown = Reflect.get(given, name);
    const isPlain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
    return { what: `${subject}: ${name} is ${isPlain ? JSON.stringify(value) : kindOf(value)}`, at: at?.(), expected };
  });
}

/** What a role throws that misspells an option: whatever the facts, so that it is known before its time has come. */
export class UnknownOption extends UserError {}

/** The options of a resource, checked. @throws MisspeltOption on those that are none; WrongValue where one is missing. */
export function validateOptions<T extends object>(subject: string, given: T, names: Names<T>): void {
  if (typeof given !== 'object' || given === null) {
    throw new InvalidValue({
      what: `the options of ${subject} are ${kindOf(given)}`,
      expected: Object.keys(names).join(', '),
    });
  }
  const problems = unknownKeys('option', subject, Object.keys(given), names);
  if (problems.length > 0) throw new UnknownOption(problems);
  const leftOut = missingKeys('option', subject, given, names);
  if (leftOut.length > 0) throw new InvalidValue(leftOut);
}
