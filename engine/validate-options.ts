/**
 * Options are declared once, as a table of names and what their values must be. From the table come the static type
 * ({@link OptionsOf}), the names that are required, and the check at run time: playbooks and roles run without being
 * type-checked, where a misspelt option would be ignored and a "no" taken for a yes.
 *
 * Why no library: the tables are evaluated by `--help`, which takes 30 ms beyond Node and tsx. Importing valibot 1.5
 * takes 54 ms, zod 4.6 76 ms, TypeBox 0.34 186 ms (median of seven), and none of them suggests a name for a misspelt
 * one.
 */
import { didYouMean, InvalidValue, kindOf, type Position, type Problem, UserError } from './errors.ts';
import { Script } from './script.ts';

/** What a value must be. */
export interface ValueType<T = unknown> {
  /** In words: `true, false`. */
  readonly expected: string;
  fits(value: unknown): value is T;
  /** A wrong value in words, where its text alone does not explain the mistake: `420 (octal 644)`. */
  shown?(value: unknown): string;
  /** Of a value that has options itself: these. */
  readonly options?: OptionTable;
}

/** The type of a value that must be given. */
export interface RequiredType<T = unknown> extends ValueType<T> {
  readonly required: true;
}

/** Options by name. A docstring above a name is what editors show for the option. */
export type OptionTable = Readonly<Record<string, ValueType>>;

type TypeOf<V> = V extends ValueType<infer T> ? T : never;
type RequiredNames<D extends OptionTable> = {
  [Name in keyof D]: D[Name] extends RequiredType ? Name : never;
}[keyof D];
type Required<D extends OptionTable, Name extends keyof D> = { readonly [N in Name]: TypeOf<D[N]> };
type Optional<D extends OptionTable, Name extends keyof D> = { readonly [N in Name]?: TypeOf<D[N]> };

/** The type of the options that a table declares. */
export type OptionsOf<D extends OptionTable> = Required<D, RequiredNames<D>> &
  Optional<D, Exclude<keyof D, RequiredNames<D>>>;

/**
 * A table for a type that is written by hand because it is generic, which no table can be. The compiler compares the
 * two: `satisfies OptionTableOf<Stage<unknown>>`.
 */
export type OptionTableOf<T> = {
  readonly [Name in keyof T]-?: undefined extends T[Name] ? ValueType & { readonly required?: never } : RequiredType;
};

/** A type of value. @param expected What the message says is allowed. */
export function valueType<T>(expected: string, fits: (value: unknown) => boolean): ValueType<T> {
  return { expected, fits: (value): value is T => fits(value) };
}

/** Marks an option as required. */
export function required<T>(type: ValueType<T>): RequiredType<T> {
  return { ...type, required: true };
}

/** Any text. */
export const TEXT: ValueType<string> = valueType('text', (value) => typeof value === 'string');
/** A boolean. Text would count as true, "no" as well. */
export const BOOLEAN: ValueType<boolean> = valueType('true, false', (value) => typeof value === 'boolean');
/** A list of text. A single word would count as a list of letters. */
export const STRING_LIST: ValueType<readonly string[]> = valueType(
  'a list of words: ["net"]',
  (value) => Array.isArray(value) && value.every((word) => typeof word === 'string'),
);
/** Seconds: any number from 0 on. */
export const SECONDS: ValueType<number> = valueType(
  'a number of seconds',
  (value) => typeof value === 'number' && value >= 0,
);
/** A TCP or UDP port. */
export const PORT: ValueType<number> = valueType(
  'a port: a whole number from 1 to 65535',
  (value) => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 65535,
);
/** A piece of shell. */
export const SCRIPT: ValueType<Script> = valueType('a script: sh`...`', (value) => value instanceof Script);
/** A function, of whatever type. */
export const FUNCTION: ValueType<(...args: never[]) => unknown> = functionType('a function');

/** A function of type `F`, which only the compiler checks. */
export function functionType<F>(expected: string): ValueType<F> {
  return valueType(expected, (value) => typeof value === 'function');
}

/** One of a few words. */
export function oneOf<const Words extends readonly string[]>(...words: Words): ValueType<Words[number]> {
  return valueType(words.join(', '), (value) => typeof value === 'string' && words.includes(value));
}

/** A mapping with options of its own. */
export function optionsType<D extends OptionTable>(table: D): ValueType<OptionsOf<D>> & { readonly options: D } {
  const type = valueType<OptionsOf<D>>(`{ ${Object.keys(table).join(', ')} }`, isMapping);
  return { ...type, options: table };
}

/** Is it an object with keys: no list, nothing empty? */
export function isMapping(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Where a problem is found. */
export interface OptionPlace {
  /** What an option is called there: `option`, `keyword`. */
  readonly noun: string;
  /** What it stands in: `task "Config"`. */
  readonly where: string;
  /** Whose values they are, in messages. Default: `where`. */
  readonly subject?: string;
  /** The position. Computed only where there is a problem, since it reads a source map. */
  readonly at?: (() => Position | undefined) | undefined;
}

const NONE: readonly Problem[] = [];

/** A problem for each name that is unknown: `unknown option "notfy" in task "Config"`. */
export function unknownKeys(
  noun: string,
  where: string,
  given: readonly string[],
  names: Readonly<Record<string, unknown>>,
  at?: () => Position | undefined,
): readonly Problem[] {
  const unknown = given.filter((name) => !Object.hasOwn(names, name));
  // Called for every task of every host.
  if (unknown.length === 0) return NONE;
  const known = Object.keys(names);
  return unknown.map((name): Problem => {
    const near = didYouMean(name, known);
    return {
      what: `unknown ${noun} "${name}" in ${where}`,
      at: at?.(),
      expected: known.join(', ') || 'none',
      ...(near ? { hint: `did you mean "${near}"?` } : {}),
    };
  });
}

/** A problem for each unknown name, also in the options of options. */
export function unknownOptions(given: object, table: OptionTable, place: OptionPlace): readonly Problem[] {
  const own = unknownKeys(place.noun, place.where, Object.keys(given), table, place.at);
  const inner = insides(given, table, place).flatMap(([value, options, inside]) =>
    unknownOptions(value, options, inside),
  );
  return inner.length === 0 ? own : [...own, ...inner];
}

/**
 * A problem for each required option that is missing (`missing option "content" in file`), and for each value of a
 * wrong type.
 */
export function invalidOptions(given: object, table: OptionTable, place: OptionPlace): readonly Problem[] {
  const { noun, where, at } = place;
  const problems: Problem[] = [];
  for (const [name, type] of Object.entries(table)) {
    const value: unknown = Reflect.get(given, name);
    const isMissing = (value ?? undefined) === undefined && 'required' in type;
    if (isMissing) {
      const expected = Object.keys(table).join(', ');
      problems.push({ what: `missing ${noun} "${name}" in ${where}`, at: at?.(), expected });
    } else if (value !== undefined && !type.fits(value)) {
      problems.push(wrongType(place.subject ?? where, name, value, type, at));
    }
  }
  const inner = insides(given, table, place).flatMap(([value, options, inside]) =>
    invalidOptions(value, options, inside),
  );
  return [...problems, ...inner];
}

/** A value of a wrong type, as a problem: `task "motd": when is "no"`. */
export function wrongType(
  subject: string,
  name: string,
  value: unknown,
  { expected, shown = inWords }: ValueType,
  at?: () => Position | undefined,
): Problem {
  return { what: `${subject}: ${name} is ${shown(value)}`, at: at?.(), expected };
}

function inWords(value: unknown): string {
  const isPlain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
  return isPlain ? JSON.stringify(value) : kindOf(value);
}

/** The values that have options of their own: each with its options and its place. */
function insides(given: object, table: OptionTable, place: OptionPlace): [object, OptionTable, OptionPlace][] {
  return Object.entries(table).flatMap(([name, { options }]) => {
    const value: unknown = options && Reflect.get(given, name);
    if (!options || !isMapping(value)) return [];
    const { noun, where, at } = place;
    return [[value, options, { noun, where: `${name} of ${where}`, at }]];
  });
}

/**
 * What a role throws that misspells an option. It is wrong whatever the facts are, so it is reported before any change.
 */
export class UnknownOption extends UserError {}

/**
 * The options of a resource, checked.
 * @param kind The function that takes them, for messages: `file`.
 * @throws UnknownOption on an unknown option; InvalidValue on one that is missing or of a wrong type.
 */
export function validateOptions(kind: string, given: object, table: OptionTable): void {
  if (!isMapping(given)) {
    throw new InvalidValue({
      what: `the options of ${kind} are ${kindOf(given)}`,
      expected: Object.keys(table).join(', '),
    });
  }
  const path: unknown = Reflect.get(given, 'path');
  // A role has many files; the path says which one is meant.
  const place = { noun: 'option', where: kind, ...(table['path']?.fits(path) ? { subject: String(path) } : {}) };
  const unknown = unknownOptions(given, table, place);
  if (unknown.length > 0) throw new UnknownOption(unknown);
  const invalid = invalidOptions(given, table, place);
  if (invalid.length > 0) throw new InvalidValue(invalid);
}
