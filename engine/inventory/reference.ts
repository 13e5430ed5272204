/**
 * References in values: `{{ other_var }}`, alone or inside text. Of Jinja this is all that Heartwood reads in variables;
 * anything more is refused where it stands, with what is supported.
 */
import { type Position, type Problem, UserError } from '../errors.ts';
import { Secret, SecretText } from '../secret.ts';
import { markOf, UnsafeText, VaultValue } from './marks.ts';
import { isMapping } from './yaml.ts';

/** Gives a variable's value, references in it replaced; undefined where it is unset. */
export type Lookup = (name: string) => unknown;

const SUPPORTED = '{{ name }}, {{ name.key }}, {{ name[0] }}, {{ name["key"] }}, alone or inside text';

/**
 * `value` with every reference replaced. A reference that is the whole text gives the other's value, of whatever type; one
 * inside text gives text. Returns `value` itself where it holds none.
 * @throws UserError on a reference to something unset, on Jinja beyond references, and on an encrypted value.
 */
export function resolveReferences(value: unknown, at: Position | undefined, lookup: Lookup): unknown {
  if (typeof value === 'string') return resolveText(value, at, lookup);
  if (value instanceof UnsafeText) return value.text;
  if (value instanceof VaultValue) {
    throw new UserError({
      what: 'the value is encrypted with ansible-vault, which Heartwood cannot open yet',
      at: value.at,
      tryThis: 'keep the secret in a file of its own outside the repository, and pass it with -e @file',
    });
  }
  if (Array.isArray(value)) {
    const items: unknown[] = value.map((item, i) => resolveReferences(item, markOf(value, i)?.at ?? at, lookup));
    return items.every((item, i) => item === value[i]) ? value : items;
  }
  if (!isMapping(value)) return value;
  const entries = Object.entries(value).map(
    ([key, item]) => [key, resolveReferences(item, markOf(value, key)?.at ?? at, lookup)] as const,
  );
  return entries.every(([key, item]) => item === value[key]) ? value : Object.fromEntries(entries);
}

/** True for a value that a reference in it, at any depth, could change. */
export function hasReferences(value: unknown): boolean {
  if (typeof value === 'string') return /\{[{%#]/.test(value);
  if (Array.isArray(value)) return value.some(hasReferences);
  return isMapping(value) && Object.values(value).some(hasReferences);
}

function resolveText(text: string, at: Position | undefined, lookup: Lookup): unknown {
  if (!/\{[{%#]/.test(text)) return text;
  const refuse = (part: string): UserError =>
    new UserError({ what: `${part} is more Jinja than Heartwood reads in variables`, at, allowed: SUPPORTED });
  const parts: unknown[] = [];
  let rest = text;
  for (;;) {
    const open = rest.search(/\{[{%#]/);
    if (open < 0) break;
    if (rest[open + 1] !== '{') throw refuse(rest.slice(open, open + 20).trim());
    const close = rest.indexOf('}}', open);
    if (close < 0) throw new UserError({ what: '"{{" without "}}"', at, allowed: SUPPORTED });
    const expression = rest.slice(open + 2, close).trim();
    if (open > 0) parts.push(rest.slice(0, open));
    parts.push(new Expression(expression, at, lookup, () => refuse(`{{ ${expression} }}`)).value());
    rest = rest.slice(close + 2);
  }
  if (rest !== '') parts.push(rest);
  if (parts.length === 1) return parts[0];
  const words = parts.map((part) => asText(part, text, at));
  return words.some((word) => word instanceof Secret) ? new SecretText(words) : words.join('');
}

/** A value inside text, as Ansible writes it there. */
function asText(value: unknown, text: string, at: Position | undefined): string | Secret {
  if (typeof value === 'string' || value instanceof Secret) return value;
  if (value instanceof SecretText) return new Secret(value.reveal());
  if (typeof value === 'number') return String(value);
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  const what = value === null ? 'an empty value' : Array.isArray(value) ? 'a list' : 'a mapping';
  throw new UserError({ what: `a reference in "${text}" gives ${what}, which is not text`, at });
}

/** A name and the steps from it: `a`, `a.b`, `a[0]`, `a['b']`, `a[other]`. */
class Expression {
  #rest: string;
  readonly #whole: string;
  readonly #at: Position | undefined;
  readonly #lookup: Lookup;
  readonly #refuse: () => UserError;

  constructor(text: string, at: Position | undefined, lookup: Lookup, refuse: () => UserError) {
    this.#rest = text;
    this.#whole = text;
    this.#at = at;
    this.#lookup = lookup;
    this.#refuse = refuse;
  }

  value(): unknown {
    const value = this.#path();
    if (this.#rest.trim() !== '') throw this.#refuse();
    return value;
  }

  #take(pattern: RegExp): string | undefined {
    const [all, part] = pattern.exec(this.#rest) ?? [];
    if (all === undefined) return undefined;
    this.#rest = this.#rest.slice(all.length);
    return part ?? all;
  }

  #path(): unknown {
    const name = this.#take(/^\s*([A-Za-z_]\w*)/);
    if (name === undefined) throw this.#refuse();
    let value = this.#lookup(name);
    let shown = name;
    if (value === undefined) throw this.#unset(name);
    for (;;) {
      let key: unknown = this.#take(/^\s*\.\s*([A-Za-z_]\w*|\d+)/);
      if (key === undefined && this.#take(/^\s*\[\s*/) !== undefined) {
        key = this.#take(/^"([^"\\]*)"/) ?? this.#take(/^'([^'\\]*)'/) ?? this.#take(/^-?\d+/) ?? this.#path();
        if (this.#take(/^\s*\]/) === undefined) throw this.#refuse();
      }
      if (key === undefined) return value;
      value = step(value, String(key));
      shown += `.${String(key)}`;
      if (value === undefined) throw this.#unset(shown);
    }
  }

  #unset(name: string): UserError {
    const problem: Problem = {
      what: `"${name}" is not set, and {{ ${this.#whole} }} refers to it`,
      at: this.#at,
      tryThis: `set ${name}, or write the value in place of the reference`,
    };
    return new UserError(problem);
  }
}

function step(value: unknown, key: string): unknown {
  if (Array.isArray(value)) return /^-?\d+$/.test(key) ? value.at(Number(key)) : undefined;
  if (value instanceof Members) return value.get(key);
  return isMapping(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

/** A mapping whose values are made when asked for: `hostvars`. */
export class Members {
  readonly get: (key: string) => unknown;

  constructor(get: (key: string) => unknown) {
    this.get = get;
  }
}
