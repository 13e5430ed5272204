/**
 * Positions of the parts of YAML values. The values themselves are plain JavaScript, since ajv and templates take no
 * other; the positions of a list's or mapping's parts are kept beside it.
 */
import type { Position } from '../errors.ts';
import type { VarDefinition } from './inventory.ts';

/** The position of one part of a list or mapping. */
export interface PartPosition {
  /** Of the value. */
  readonly at: Position;
  /** Of the key, in mappings. */
  readonly keyAt?: Position;
  /** The text of a plain scalar where its value is another type: `0644`, which is the number 420. */
  readonly text?: string;
}

const positions = new WeakMap<object, ReadonlyMap<string, PartPosition>>();

/** Sets the positions of the parts of `container`, by key or index. */
export function setPositions(container: object, parts: ReadonlyMap<string, PartPosition>): void {
  positions.set(container, parts);
}

/** The position of the part `key` of `container`; undefined where `container` was not read from a file. */
export function positionOf(container: object, key: string | number): PartPosition | undefined {
  return positions.get(container)?.get(String(key));
}

/** A part of a value, with its position. */
export interface ValuePart {
  /** As written; undefined where the text has no such part (a default, a missing key). */
  readonly value: unknown;
  readonly at: Position | undefined;
  readonly keyAt: Position | undefined;
  readonly text: string | undefined;
}

/** The part of a definition that `path` leads to, or the last part on the way that has a position. */
export function findPart(definition: VarDefinition, path: readonly (string | number)[]): ValuePart {
  let part: ValuePart = { value: definition.value, at: definition.at, keyAt: undefined, text: definition.text };
  for (const key of path) {
    const container = part.value;
    if (typeof container !== 'object' || container === null) return { ...part, text: undefined };
    const position = positionOf(container, key);
    if (!position) return { ...part, value: undefined, text: undefined };
    part = { value: Reflect.get(container, key), at: position.at, keyAt: position.keyAt, text: position.text };
  }
  return part;
}
