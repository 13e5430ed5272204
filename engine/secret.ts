/**
 * Values that must not be seen. A {@link Secret} prints, logs and serialises as `***`; only the remote session unwraps it,
 * on its way to a host's stdin. Every secret made in this process is also remembered for {@link mask}, because hosts echo
 * what they are given: a diff or an error message would otherwise carry it back out.
 */
import { inspect } from 'node:util';

/** What stands in a secret's place wherever it would show. */
export const MASK = '***';

const known = new Set<string>();

/** Shorter values would mask half of any text; such a secret is only protected by its type. */
const SHORTEST_MASKED = 4;

/** A string that never shows. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
    if (value.length < SHORTEST_MASKED) return;
    // The forms a value takes on its way: as it is, JSON-escaped, one line of several.
    for (const form of [value, JSON.stringify(value).slice(1, -1), ...value.split('\n')]) {
      if (form.trim().length >= SHORTEST_MASKED) known.add(form);
    }
  }

  /** The value itself. For the remote session, and for deriving another secret. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [inspect.custom](): string {
    return MASK;
  }
}

/**
 * Text with secrets in it: a rendered config that holds a token. Shows with `***` in the secrets' places. A whole text is no
 * {@link Secret}, since its ordinary lines must not be masked elsewhere.
 */
export class SecretText {
  readonly #parts: readonly (string | Secret)[];

  constructor(parts: readonly (string | Secret)[]) {
    this.#parts = parts;
  }

  /** @internal The pieces, for a text that this one becomes a part of. */
  get parts(): readonly (string | Secret)[] {
    return this.#parts;
  }

  /** The text itself. For the remote session, and for hashing. */
  reveal(): string {
    return this.#parts.map((part) => (typeof part === 'string' ? part : part.reveal())).join('');
  }

  toString(): string {
    return this.#parts.map(String).join('');
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/** `text` with every secret of this process replaced by `***`, longest first. */
export function mask(text: string): string {
  let masked = text;
  for (const value of [...known].sort((a, b) => b.length - a.length)) {
    if (masked.includes(value)) masked = masked.replaceAll(value, MASK);
  }
  return masked;
}

/** Plain data with every text in it masked; keys, numbers and the shape stay as they are. */
export function maskData<T>(data: T): T {
  if (typeof data === 'string') return mask(data) as T;
  if (Array.isArray(data)) return data.map(maskData) as T;
  if (typeof data !== 'object' || data === null || Object.getPrototypeOf(data) !== Object.prototype) return data;
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, maskData(value)])) as T;
}
