/**
 * `-e name=value`: words as Ansible splits them (ansible-core `lib/ansible/parsing/splitter.py`), which is not as a
 * shell does. Quotes stay in the value unless they enclose it, a `{{ reference }}` is one word, and `\n` is a line
 * break.
 */
import { decodeEscapes } from './python-literal.ts';

/** A word that sets a variable, or one that does not. */
export type KeyValue = { readonly name: string; readonly value: string } | { readonly word: string };

/** The variables that `text` sets. @throws Error on a quote or a `{{` that is not closed. */
export function parseKeyValues(text: string): KeyValue[] {
  return splitArguments(text).map((raw) => {
    const word = decodeEscapes(raw);
    const equals = word.search(/(?<=[^\\])=/);
    if (equals < 1) return { word };
    return { name: word.slice(0, equals).trim(), value: unquote(word.slice(equals + 1).trim()) };
  });
}

const JINJA = [
  ['{{', '}}'],
  ['{%', '%}'],
  ['{#', '#}'],
] as const;

/** Splits at spaces and line breaks, but not within quotes and Jinja. Nothing is unquoted. */
function splitArguments(text: string): string[] {
  const words: string[] = [];
  const depths = JINJA.map(() => 0);
  let quote = '';
  let word = '';
  for (let i = 0; i < text.length; i++) {
    const c = text[i] ?? '';
    const isInside = quote !== '' || depths.some((depth) => depth > 0);
    if ((c === ' ' || c === '\n') && !isInside) {
      words.push(word);
      word = '';
      continue;
    }
    const pair = text.slice(i, i + 2);
    const jinja = JINJA.findIndex((brackets) => brackets.some((bracket) => bracket === pair));
    if (jinja >= 0) {
      const change = JINJA[jinja]?.[0] === pair ? 1 : -1;
      depths[jinja] = Math.max(0, (depths[jinja] ?? 0) + change);
      word += pair;
      i++;
      continue;
    }
    if ((c === '"' || c === "'") && text[i - 1] !== '\\') {
      if (quote === '') quote = c;
      else if (quote === c) quote = '';
    }
    word += c;
  }
  if (quote !== '') throw new Error(`a quote (${quote}) that is not closed`);
  const open = JINJA.find((_, i) => (depths[i] ?? 0) > 0);
  if (open) throw new Error(`"${open[0]}" without "${open[1]}"`);
  // A backslash alone continues the line.
  return [...words, word].filter((each) => each !== '' && each !== '\\');
}

/** Without the quotes that enclose the whole value. */
function unquote(value: string): string {
  const [first = ''] = value;
  const isQuoted = value.length > 1 && /["']/.test(first) && value.endsWith(first) && value.at(-2) !== '\\';
  return isQuoted ? value.slice(1, -1) : value;
}
