/**
 * Where the parts of a value stand. Values are plain JavaScript (so that ajv and templates can take them); the places of a
 * list's or mapping's parts are kept beside it.
 */
import type { Position } from '../errors.ts';
import type { Located } from './inventory.ts';

/** Where one part of a list or mapping stands. */
export interface NodePosition {
  /** Of the value. */
  readonly at: Position;
  /** Of the key, in mappings. */
  readonly keyAt?: Position;
  /** A plain scalar's own text where it is not what it means: `0644` of the number 420. */
  readonly text?: string;
}

const marks = new WeakMap<object, Map<string, NodePosition>>();

/** Remembers where the parts of `container` stand. */
export function setPositions(container: object, parts: Map<string, NodePosition>): void {
  marks.set(container, parts);
}

/** Where the part `key` of `container` stands, when its file is known. */
export function positionOf(container: object, key: string | number): NodePosition | undefined {
  return marks.get(container)?.get(String(key));
}

/** A located part of a value. */
export interface LocatedPart {
  /** The value as written there, undefined when the path leads nowhere in the text (a default, a missing key). */
  readonly value: unknown;
  readonly at: Position | undefined;
  readonly keyAt: Position | undefined;
  readonly text: string | undefined;
}

/** Follows `path` into a definition as far as its text goes; ends at the last part that has a place of its own. */
export function locate(definition: Located, path: readonly (string | number)[]): LocatedPart {
  let place: LocatedPart = {
    value: definition.value,
    at: definition.at,
    keyAt: undefined,
    text: definition.text,
  };
  for (const [depth, key] of path.entries()) {
    const container = place.value;
    if (typeof container !== 'object' || container === null) return { ...place, text: undefined };
    const mark = positionOf(container, key);
    if (!mark) return { ...place, value: undefined, text: undefined };
    const value: unknown = Reflect.get(container, key);
    place = { value, at: mark.at, keyAt: mark.keyAt, text: mark.text };
    if (depth === path.length - 1) return place;
  }
  return place;
}

/** A value that ansible-vault encrypted. Reading it needs a password that Heartwood does not take yet. */
export class VaultValue {
  readonly at: Position;

  constructor(at: Position) {
    this.at = at;
  }
}

/** A string marked `!unsafe`: braces in it are text, not references. */
export class UnsafeText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}
