/**
 * Values that must not be seen. A {@link Secret} prints, logs and serialises as `***`; only the remote session reveals
 * it, on its way to a host's stdin. Hosts echo what they are given, in diffs and error messages, so {@link mask} looks
 * for every secret of this process in what they print.
 */
import { inspect } from 'node:util';
import { encodingsOf } from './secret-encodings.ts';
import { TextSearch } from './text-search.ts';

/** Stands for a secret wherever it would show. */
export const MASK = '***';

declare const masked: unique symbol;

/**
 * Text for people, with `***` for secrets. `sh` does not take it: what is executed is never made from what is shown.
 */
export type Masked = string & { readonly [masked]: true };

/** Any other text. */
export type Unmasked = string & { readonly [masked]?: never };

/** Shorter values occur in any text: masking them would hide half of it. */
export const SHORTEST_MASKED = 4;

/**
 * What makes masking a secret pointless. `short`: too short to be masked. `common`: a plain word or number; it is
 * masked, also where it is no secret, and who reads the rest can guess it.
 */
export type SecretWeakness = 'short' | 'common';

const search = new TextSearch();
const weaknesses = new Set<SecretWeakness>();

/** Has {@link mask} look for a value from now on. */
function register(value: string): void {
  if (value === '') return;
  if (value.trim().length < SHORTEST_MASKED) weaknesses.add('short');
  else if (/^(?:\p{Ll}{1,11}|\p{Lu}{1,11}|\d{1,7})$/u.test(value)) weaknesses.add('common');
  if (value.length < SHORTEST_MASKED) return;
  for (const form of encodingsOf(value)) if (form.trim().length >= SHORTEST_MASKED) search.add(form);
}

/** Weaknesses of the secrets made so far. */
export function secretWeaknesses(): ReadonlySet<SecretWeakness> {
  return weaknesses;
}

/** A string that never shows. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
    register(value);
  }

  /** The value itself. For the remote session, and for deriving another secret. */
  reveal(): string {
    return this.#value;
  }

  toString(): Masked {
    return MASK as Masked;
  }

  toJSON(): string {
    return MASK;
  }

  [inspect.custom](): string {
    return MASK;
  }
}

/**
 * Text with secrets in it: a rendered config that holds a token. It shows with `***` for the secrets. It is not a
 * {@link Secret} as a whole, because its ordinary lines must not be masked elsewhere.
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

  toString(): Masked {
    return this.#parts.map(String).join('') as Masked;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/** `text` with `***` for every secret of this process, in whichever of its forms ({@link encodingsOf}). */
export function mask(text: string): Masked {
  let shown = '';
  let end = 0;
  for (const [from, to] of search.find(text)) {
    shown += text.slice(end, from) + MASK;
    end = to;
  }
  return (shown + text.slice(end)) as Masked;
}

/** Is a secret of this process in `text`? */
export function holdsSecret(text: string): boolean {
  return search.find(text).length > 0;
}

/** Plain data with every text in it masked; keys, numbers and the shape stay as they are. */
export function maskData<T>(data: T): T {
  if (typeof data === 'string') return mask(data) as string as T;
  if (Array.isArray(data)) return data.map(maskData) as T;
  // What says itself how it is shown (a Secret, a date) stays.
  if (typeof data !== 'object' || data === null || 'toJSON' in data) return data;
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, maskData(value)])) as T;
}
