/**
 * References in values: `{{ other_var }}`, alone or inside text. Heartwood reads no more of Jinja than this in
 * variables; the rest is refused where it stands, with what is supported.
 */
import { type Position, UserError } from '../errors.ts';
import { Secret, SecretText } from '../secret.ts';
import { isMapping } from './yaml.ts';
import { positionOf } from './yaml-positions.ts';
import { isVaultText, UnsafeText, VaultValue, vaultProblem } from './yaml-tags.ts';

/** Gives the value of a variable with its references replaced; undefined where it is unset. */
export type LookupVariable = (name: string) => unknown;

/** The variable that a value belongs to, for messages. */
export interface ReferenceOrigin {
  readonly name: string;
  readonly at: Position | undefined;
}

const SUPPORTED = '{{ name }}, {{ name.key }}, {{ name[0] }}, {{ name["key"] }}, alone or inside text';

/**
 * `value` with every reference replaced. A reference that is the whole text gives the other's value, of whatever type;
 * one inside text gives text. Returns `value` itself where it holds none.
 * @throws UserError on a reference to something unset, on other Jinja, and on an encrypted value.
 */
export function resolveReferences(value: unknown, origin: ReferenceOrigin, lookup: LookupVariable): unknown {
  if (typeof value === 'string') {
    if (isVaultText(value)) throw new UserError(vaultProblem(origin.name, origin.at));
    return resolveText(value, origin.at, lookup);
  }
  if (value instanceof UnsafeText) return value.text;
  if (value instanceof VaultValue) throw new UserError(vaultProblem(origin.name, origin.at ?? value.at));
  const resolvePart = (part: unknown, key: string | number): unknown =>
    resolveReferences(part, { name: origin.name, at: positionOf(Object(value), key)?.at ?? origin.at }, lookup);
  if (Array.isArray(value)) {
    const items: unknown[] = value.map(resolvePart);
    return items.every((item, i) => item === value[i]) ? value : items;
  }
  if (!isMapping(value)) return value;
  const entries = Object.entries(value).map(([key, item]) => [key, resolvePart(item, key)] as const);
  return entries.every(([key, item]) => item === value[key]) ? value : Object.fromEntries(entries);
}

function resolveText(text: string, at: Position | undefined, lookup: LookupVariable): unknown {
  if (!/\{[{%#]/.test(text)) return text;
  const unsupported = (part: string): UserError =>
    new UserError({ what: `${part} is more Jinja than Heartwood reads in variables`, at, expected: SUPPORTED });
  const parts: unknown[] = [];
  let rest = text;
  for (;;) {
    const open = rest.search(/\{[{%#]/);
    if (open < 0) break;
    if (rest[open + 1] !== '{') throw unsupported(rest.slice(open, open + 20).trim());
    const close = rest.indexOf('}}', open);
    if (close < 0) throw new UserError({ what: '"{{" without "}}"', at, expected: SUPPORTED });
    const expression = rest.slice(open + 2, close).trim();
    if (open > 0) parts.push(rest.slice(0, open));
    const path = parsePath(expression);
    if (!path) throw unsupported(`{{ ${expression} }}`);
    parts.push(evaluate(path, expression, at, lookup));
    rest = rest.slice(close + 2);
  }
  if (rest !== '') parts.push(rest);
  if (parts.length === 1) return parts[0];
  const texts = parts.map((part) => asText(part, text, at));
  return texts.some((part) => part instanceof Secret) ? new SecretText(texts) : texts.join('');
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

/** A name and the keys after it: `a`, `a.b`, `a[0]`, `a['b']`, `a[other.name]`. */
interface Path {
  readonly name: string;
  readonly keys: readonly (string | Path)[];
}

/** Parses a whole expression; undefined where it is more than a path. */
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
    const keys: (string | Path)[] = [];
    for (;;) {
      const attribute = take(/^\s*\.\s*([A-Za-z_]\w*|\d+)/);
      if (attribute !== undefined) keys.push(attribute);
      else if (take(/^\s*\[\s*/) === undefined) return { name, keys };
      else {
        const inner = take(/^"([^"\\]*)"/) ?? take(/^'([^'\\]*)'/) ?? take(/^-?\d+/) ?? path();
        if (inner === undefined || take(/^\s*\]/) === undefined) return undefined;
        keys.push(inner);
      }
    }
  };
  const whole = path();
  return rest.trim() === '' ? whole : undefined;
}

function evaluate(path: Path, expression: string, at: Position | undefined, lookup: LookupVariable): unknown {
  let value = lookup(path.name);
  let shown = path.name;
  const unset = (): UserError =>
    new UserError({
      what: `"${shown}" is not set, and {{ ${expression} }} refers to it`,
      at,
      hint: `set ${shown}, or write the value in place of the reference`,
    });
  if (value === undefined) throw unset();
  for (const each of path.keys) {
    const key = typeof each === 'string' ? each : String(evaluate(each, expression, at, lookup));
    value = valueAt(value, key);
    shown += `.${key}`;
    if (value === undefined) throw unset();
  }
  return value;
}

function valueAt(value: unknown, key: string): unknown {
  if (Array.isArray(value)) return /^-?\d+$/.test(key) ? value.at(Number(key)) : undefined;
  if (value instanceof LazyMapping) return value.get(key);
  return isMapping(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

/** A mapping that computes each value when it is asked for: `hostvars`, and a host in it. */
export class LazyMapping {
  readonly get: (key: string) => unknown;

  constructor(get: (key: string) => unknown) {
    this.get = get;
  }
}
