/**
 * References in values: `{{ other_var }}`, alone or inside text. Of Jinja this is all that Heartwood reads in variables;
 * anything more is refused where it stands, with what is supported.
 */
import { type Position, UserError } from '../errors.ts';
import { Secret, SecretText } from '../secret.ts';
import { isMapping } from './yaml.ts';
import { positionOf, UnsafeText, VaultValue } from './yaml-positions.ts';

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
      hint: 'keep the secret in a file of its own outside the repository, and pass it with -e @file',
    });
  }
  if (Array.isArray(value)) {
    const items: unknown[] = value.map((item, i) => resolveReferences(item, positionOf(value, i)?.at ?? at, lookup));
    return items.every((item, i) => item === value[i]) ? value : items;
  }
  if (!isMapping(value)) return value;
  const entries = Object.entries(value).map(
    ([key, item]) => [key, resolveReferences(item, positionOf(value, key)?.at ?? at, lookup)] as const,
  );
  return entries.every(([key, item]) => item === value[key]) ? value : Object.fromEntries(entries);
}

function resolveText(text: string, at: Position | undefined, lookup: Lookup): unknown {
  if (!/\{[{%#]/.test(text)) return text;
  const refuse = (part: string): UserError =>
    new UserError({ what: `${part} is more Jinja than Heartwood reads in variables`, at, expected: SUPPORTED });
  const parts: unknown[] = [];
  let rest = text;
  for (;;) {
    const open = rest.search(/\{[{%#]/);
    if (open < 0) break;
    if (rest[open + 1] !== '{') throw refuse(rest.slice(open, open + 20).trim());
    const close = rest.indexOf('}}', open);
    if (close < 0) throw new UserError({ what: '"{{" without "}}"', at, expected: SUPPORTED });
    const expression = rest.slice(open + 2, close).trim();
    if (open > 0) parts.push(rest.slice(0, open));
    const path = parsePath(expression);
    if (!path) throw refuse(`{{ ${expression} }}`);
    parts.push(evaluate(path, expression, at, lookup));
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

/** A name and the steps from it: `a`, `a.b`, `a[0]`, `a['b']`, `a[other.name]`. */
interface Path {
  readonly name: string;
  readonly steps: readonly (string | Path)[];
}

/** Reads a whole expression, or gives undefined where it is more than a path. */
function parsePath(expression: string): Path | undefined {
  let rest = expression;
  const take = (pattern: RegExp): string | undefined => {
    const [all, part] = pattern.exec(rest) ?? [];
    if (all === undefined) return undefined;
    rest = rest.slice(all.length);
    return part ?? all;
  };
  const path = (): Path | undefined => {
    const name = take(/^\s*([A-Za-z_]\w*)/);
    if (name === undefined) return undefined;
    const steps: (string | Path)[] = [];
    for (;;) {
      const attribute = take(/^\s*\.\s*([A-Za-z_]\w*|\d+)/);
      if (attribute !== undefined) steps.push(attribute);
      else if (take(/^\s*\[\s*/) === undefined) return { name, steps };
      else {
        const inner = take(/^"([^"\\]*)"/) ?? take(/^'([^'\\]*)'/) ?? take(/^-?\d+/) ?? path();
        if (inner === undefined || take(/^\s*\]/) === undefined) return undefined;
        steps.push(inner);
      }
    }
  };
  const whole = path();
  return rest.trim() === '' ? whole : undefined;
}

function evaluate(path: Path, expression: string, at: Position | undefined, lookup: Lookup): unknown {
  let value = lookup(path.name);
  let shown = path.name;
  const unset = (): UserError =>
    new UserError({
      what: `"${shown}" is not set, and {{ ${expression} }} refers to it`,
      at,
      hint: `set ${shown}, or write the value in place of the reference`,
    });
  if (value === undefined) throw unset();
  for (const each of path.steps) {
    const key = typeof each === 'string' ? each : String(evaluate(each, expression, at, lookup));
    value = step(value, key);
    shown += `.${key}`;
    if (value === undefined) throw unset();
  }
  return value;
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
