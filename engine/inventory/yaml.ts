/**
 * YAML as Ansible reads it (PyYAML, YAML 1.1), with the position of every value. Scalars are resolved here and not by
 * the yaml package: `22:22` stays text instead of becoming 1342, and a date stays text. A key given twice is an error.
 */
import type { Document, LineCounter, Node, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import { type Position, type Problem, UserError } from '../errors.ts';
import { yaml as yamlPackage } from '../lazy-packages.ts';
import { type PartPosition, setPositions } from './yaml-positions.ts';
import { UnsafeText, VaultValue } from './yaml-tags.ts';

/** The value of a YAML text, and where it begins. */
export interface YamlValue {
  readonly value: unknown;
  readonly at: Position;
}

/**
 * Reads one YAML (or JSON) document. An empty one, or one of only comments, is null.
 * @throws UserError with every syntax error, unknown tag and repeated key; on a second document.
 */
export async function readYaml(text: string, file: string): Promise<YamlValue> {
  const yaml = yamlPackage();
  const lines = new yaml.LineCounter();
  const document = yaml.parseDocument(text, {
    // Every scalar comes as text.
    schema: 'failsafe',
    lineCounter: lines,
    // The package's own check takes seconds for 20,000 hosts.
    uniqueKeys: false,
    // `silent` would drop a second document without an error.
    logLevel: 'error',
    prettyErrors: false,
  });
  if (document.errors.length > 0) {
    throw new UserError(
      document.errors.map(({ code, message, pos }): Problem => {
        const at = positionAt(lines, pos[0], file);
        if (code === 'MULTIPLE_DOCS') {
          return { what: 'a second YAML document begins here', at, expected: 'one document per file' };
        }
        return { what: `not valid YAML: ${message.trim().replace(/[.:]$/, '')}`, at };
      }),
    );
  }
  return new Reader(yaml, document, lines, file).read();
}

type Yaml = typeof import('yaml');

const STANDARD_TAG = 'tag:yaml.org,2002:';

/** Turns the nodes of one document into values. An anchor's value is shared by its aliases. */
class Reader {
  readonly #yaml: Yaml;
  readonly #document: Document;
  readonly #lines: LineCounter;
  readonly #file: string;
  readonly #values = new Map<Node, unknown>();

  constructor(yaml: Yaml, document: Document, lines: LineCounter, file: string) {
    this.#yaml = yaml;
    this.#document = document;
    this.#lines = lines;
    this.#file = file;
  }

  read(): YamlValue {
    const root = this.#document.contents;
    return root === null
      ? { value: null, at: { file: this.#file, line: 1, column: 1 } }
      : { value: this.#value(root), at: this.#at(root) };
  }

  #at(node: Node): Position {
    return positionAt(this.#lines, node.range?.[0] ?? 0, this.#file);
  }

  #value(node: Node): unknown {
    if (this.#values.has(node)) {
      const known = this.#values.get(node);
      if (known === UNFINISHED) throw new UserError({ what: 'an anchor that contains itself', at: this.#at(node) });
      return known;
    }
    this.#values.set(node, UNFINISHED);
    const value = this.#convert(node);
    this.#values.set(node, value);
    return value;
  }

  #convert(node: Node): unknown {
    const { isAlias, isMap, isSeq, isScalar } = this.#yaml;
    if (isAlias(node)) {
      const target = node.resolve(this.#document);
      if (!target)
        throw new UserError({ what: `the alias *${node.source} has no anchor before it`, at: this.#at(node) });
      return this.#value(target);
    }
    if (isMap(node)) return this.#map(node);
    if (isSeq(node)) return this.#list(node);
    if (isScalar(node)) return this.#scalar(node);
    return null;
  }

  #list(node: YAMLSeq): unknown[] {
    this.#checkTag(node, ['seq']);
    const positions = new Map<string, PartPosition>();
    const list = node.items.map((item, i) => {
      const child = this.#child(item, this.#at(node));
      positions.set(String(i), child.position);
      return child.value;
    });
    setPositions(list, positions);
    return list;
  }

  #map(node: YAMLMap): unknown {
    this.#checkTag(node, ['map']);
    const { isNode, isScalar } = this.#yaml;
    const map: Record<string, unknown> = {};
    const positions = new Map<string, PartPosition>();
    const merged: { map: object; at: Position }[] = [];
    for (const pair of node.items) {
      if (!isNode(pair.key)) continue;
      const keyAt = this.#at(pair.key);
      const key = isScalar(pair.key) ? String(pair.key.value ?? '') : undefined;
      if (key === undefined || key === '__proto__') {
        throw new UserError({ what: 'a key must be a name', at: keyAt, expected: 'text or a number' });
      }
      const child = this.#child(pair.value, keyAt);
      if (key === '<<' && isScalar(pair.key) && pair.key.type === 'PLAIN') {
        for (const source of Array.isArray(child.value) ? child.value : [child.value]) {
          if (!isMapping(source)) {
            throw new UserError({ what: '"<<" needs a mapping to merge', at: child.position.at });
          }
          merged.push({ map: source, at: child.position.at });
        }
        continue;
      }
      const earlier = positions.get(key)?.keyAt;
      if (earlier) {
        throw new UserError({ what: `"${key}" is given twice; first in line ${earlier.line}`, at: keyAt });
      }
      map[key] = child.value;
      positions.set(key, { ...child.position, keyAt });
    }
    // Own keys win over merged ones, earlier merged mappings over later ones (https://yaml.org/type/merge.html).
    for (const { map: source, at } of merged) {
      for (const [key, value] of Object.entries(source)) {
        if (Object.hasOwn(map, key)) continue;
        map[key] = value;
        positions.set(key, { at, keyAt: at });
      }
    }
    setPositions(map, positions);
    return taggedInJson(map, this.#at(node)) ?? map;
  }

  #child(node: unknown, parentAt: Position): { value: unknown; position: PartPosition } {
    if (!this.#yaml.isNode(node)) return { value: null, position: { at: parentAt } };
    const value = this.#value(node);
    const at = this.#at(node);
    // Of an encrypted value the text is ciphertext, which nothing may take for the value.
    const isOther = this.#yaml.isScalar(node) && typeof value !== 'string' && !(value instanceof VaultValue);
    const text = isOther ? String(node.value ?? '') : undefined;
    // An empty value has no position of its own worth showing.
    const position = value === null && text === '' ? { at: parentAt } : { at };
    return { value, position: text === undefined ? position : { ...position, text } };
  }

  #scalar(node: Scalar): unknown {
    const text = String(node.value ?? '');
    const tag = node.tag;
    if (tag === '!vault' || tag === '!vault-encrypted') return new VaultValue(this.#at(node));
    if (tag === '!unsafe') return new UnsafeText(text);
    this.#checkTag(node, ['str', 'int', 'float', 'bool', 'null']);
    if (tag === undefined) return node.type === 'PLAIN' ? plainScalar(text) : text;
    if (tag === '!' || tag === `${STANDARD_TAG}str`) return text;
    const value = plainScalar(text);
    const type = tag.slice(STANDARD_TAG.length);
    const is =
      value === null ? 'null' : typeof value === 'boolean' ? 'bool' : typeof value === 'number' ? 'number' : 'str';
    const fits = is === type || (is === 'number' && (type === 'float' || (type === 'int' && Number.isInteger(value))));
    if (!fits) throw new UserError({ what: `"${text}" is not a !!${type}`, at: this.#at(node) });
    return value;
  }

  #checkTag(node: Node, allowed: readonly string[]): void {
    const tag = node.tag;
    if (tag === undefined || tag === '!' || allowed.some((name) => tag === STANDARD_TAG + name)) return;
    throw new UserError({
      what: `unknown YAML tag ${tag.startsWith(STANDARD_TAG) ? `!!${tag.slice(STANDARD_TAG.length)}` : tag}`,
      at: this.#at(node),
      expected: '!vault, !unsafe, !!str, !!int, !!float, !!bool',
    });
  }
}

const UNFINISHED = Symbol('unfinished');

/** JSON has no tags; Ansible writes `{"__ansible_vault": "..."}` and `{"__ansible_unsafe": "..."}` there. */
function taggedInJson(map: Readonly<Record<string, unknown>>, at: Position): VaultValue | UnsafeText | undefined {
  if (Object.hasOwn(map, '__ansible_vault')) return new VaultValue(at);
  const unsafe = Object.hasOwn(map, '__ansible_unsafe') ? map['__ansible_unsafe'] : undefined;
  return typeof unsafe === 'string' ? new UnsafeText(unsafe) : undefined;
}

/** What a plain (unquoted) scalar means: PyYAML's YAML 1.1, except that base 60 and dates stay text. */
export function plainScalar(text: string): string | number | boolean | null {
  if (/^(~|null|Null|NULL|)$/.test(text)) return null;
  if (/^(yes|Yes|YES|true|True|TRUE|on|On|ON)$/.test(text)) return true;
  if (/^(no|No|NO|false|False|FALSE|off|Off|OFF)$/.test(text)) return false;
  if (!/^[-+.\d]/.test(text)) return text;
  const digits = text.replaceAll('_', '');
  const sign = text.startsWith('-') ? -1 : 1;
  const [, base, body] = /^[-+]?(0b|0x|0)?([\da-fA-F]+)$/.exec(digits) ?? [];
  if (body !== undefined) {
    const radix = base === '0b' ? 2 : base === '0x' ? 16 : base === '0' ? 8 : 10;
    const allowed =
      radix === 2 ? /^[01]+$/ : radix === 16 ? /^[\da-fA-F]+$/ : radix === 8 ? /^[0-7]+$/ : /^(0|[1-9]\d*)$/;
    const number = allowed.test(body) ? sign * Number.parseInt(body, radix) : Number.NaN;
    // A whole number that JavaScript cannot hold exactly (an account id) stays text.
    return Number.isSafeInteger(number) ? number : text;
  }
  if (/^[-+]?(\d+\.\d*([eE][-+]\d+)?|\.\d+([eE][-+]\d+)?)$/.test(digits)) return Number(digits);
  if (/^[-+]?\.(inf|Inf|INF)$/.test(text)) return sign * Number.POSITIVE_INFINITY;
  if (/^\.(nan|NaN|NAN)$/.test(text)) return Number.NaN;
  return text;
}

/** True for a plain mapping: not null, not a list, not a tagged value or a secret. */
export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function positionAt(lines: LineCounter, offset: number, file: string): Position {
  const { line, col } = lines.linePos(offset);
  return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
}
