/**
 * Secrets on their way through a template. While it renders, each is an unguessable word, so that helpers can work on text;
 * afterwards the text is cut at those words and the secrets stand between its pieces, still closed.
 */
import { randomUUID } from 'node:crypto';
import { Secret, SecretText } from '../secret.ts';

type Part = string | Secret;

/** The secrets of one rendering. */
export class SecretWords {
  // Letters and digits only: no helper needs to quote it, no YAML writer folds it.
  readonly #key = `hw${randomUUID().replaceAll('-', '')}x`;
  readonly #meanings: (readonly Part[])[] = [];

  /** A secret, or a text with secrets, as text with words for them; `change` is made to each secret. */
  textOf(value: Secret | SecretText, change: (plain: string) => string = (plain) => plain): string {
    const parts = value instanceof Secret ? [value] : value.parts;
    return parts
      .map((part) => (typeof part === 'string' ? part : this.#wordFor([new Secret(change(part.reveal()))])))
      .join('');
  }

  /** A list or mapping in which each text with a secret in it is one word. */
  close(value: unknown): unknown {
    if (value instanceof Secret) return this.#wordFor([value]);
    if (value instanceof SecretText) return this.#wordFor(value.parts);
    if (Array.isArray(value)) return value.map((item) => this.close(item));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.close(item)]));
  }

  /** JSON or YAML made from what {@link close} gave, each word in it as a double-quoted scalar: secrets may hold anything. */
  quoteWords(text: string): string {
    return text.replace(new RegExp(`"?${this.#key}(\\d+)z"?`, 'g'), (_, index: string) => {
      const parts = this.#meanings[Number(index)] ?? [];
      const inner = parts.map((part) =>
        typeof part === 'string' ? escaped(part) : new Secret(escaped(part.reveal())),
      );
      return this.#wordFor(['"', ...inner, '"']);
    });
  }

  /** What was rendered, with the secrets in their places. */
  finish(text: string): string | SecretText {
    const parts: Part[] = [];
    let end = 0;
    for (const match of text.matchAll(new RegExp(`${this.#key}(\\d+)z`, 'g'))) {
      if (match.index > end) parts.push(text.slice(end, match.index));
      parts.push(...(this.#meanings[Number(match[1])] ?? []));
      end = match.index + match[0].length;
    }
    if (end === 0) return text;
    if (end < text.length) parts.push(text.slice(end));
    return new SecretText(parts);
  }

  #wordFor(parts: readonly Part[]): string {
    this.#meanings.push(parts);
    return `${this.#key}${this.#meanings.length - 1}z`;
  }
}

/** Text as it stands between the quotes of a JSON string, which a YAML double-quoted scalar reads alike. */
function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
