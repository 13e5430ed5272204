/**
 * Secrets in templates. While a template renders, each secret is a random placeholder, so that helpers can work on
 * plain text. Afterwards the placeholders are replaced by the secrets, which are still closed.
 */
import { randomUUID } from 'node:crypto';
import { Secret, SecretText } from '../secret.ts';

type Part = string | Secret;

/** The secrets of one rendering. */
export class SecretPlaceholders {
  // Letters and digits only: no helper needs to quote it, and no YAML writer folds it.
  readonly #prefix = `hw${randomUUID().replaceAll('-', '')}x`;
  /** What each placeholder stands for, by its number. */
  readonly #parts: (readonly Part[])[] = [];

  /** The text of a secret with placeholders; `change` is applied to each secret. */
  textOf(value: Secret | SecretText, change: (plain: string) => string = (plain) => plain): string {
    const parts = value instanceof Secret ? [value] : value.parts;
    return parts
      .map((part) => (typeof part === 'string' ? part : this.#add([new Secret(change(part.reveal()))])))
      .join('');
  }

  /** A list or mapping in which a placeholder stands for each text with a secret in it. */
  replaceIn(value: unknown): unknown {
    if (value instanceof Secret) return this.#add([value]);
    if (value instanceof SecretText) return this.#add(value.parts);
    if (Array.isArray(value)) return value.map((item) => this.replaceIn(item));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.replaceIn(item)]));
  }

  /**
   * JSON or YAML of what {@link replaceIn} returned. Each placeholder becomes a double-quoted scalar: a secret may hold
   * anything.
   */
  quote(text: string): string {
    return text.replace(new RegExp(`"?${this.#prefix}(\\d+)z"?`, 'g'), (_, index: string) => {
      const parts = this.#parts[Number(index)] ?? [];
      const escaped = parts.map((part) =>
        typeof part === 'string' ? escapeText(part) : new Secret(escapeText(part.reveal())),
      );
      return this.#add(['"', ...escaped, '"']);
    });
  }

  /** The rendered text, the placeholders replaced by the secrets. */
  restore(text: string): string | SecretText {
    const parts: Part[] = [];
    let end = 0;
    for (const match of text.matchAll(new RegExp(`${this.#prefix}(\\d+)z`, 'g'))) {
      if (match.index > end) parts.push(text.slice(end, match.index));
      parts.push(...(this.#parts[Number(match[1])] ?? []));
      end = match.index + match[0].length;
    }
    if (end === 0) return text;
    if (end < text.length) parts.push(text.slice(end));
    return new SecretText(parts);
  }

  /** A new placeholder. */
  #add(parts: readonly Part[]): string {
    this.#parts.push(parts);
    return `${this.#prefix}${this.#parts.length - 1}z`;
  }
}

/** Text between the quotes of a JSON string, which is also a YAML double-quoted scalar. */
function escapeText(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
