/**
 * Values of INI inventories. Ansible reads each as a Python literal where it is one (`ast.literal_eval`) and as text where it
 * is not: `8080` is a number, `True` a boolean, `yes` a text, `['a', 'b']` a list.
 */

/** The value of `text`: what the Python literal means, or the text itself. */
export function parseLiteral(text: string): unknown {
  try {
    return new LiteralParser(text).parse();
  } catch (error) {
    if (error instanceof NotALiteral) return text;
    throw error;
  }
}

class NotALiteral extends Error {}

const NUMBER =
  /^(0[xX](?:_?[\da-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|(?:\d(?:_?\d)*)?\.\d(?:_?\d)*(?:[eE][-+]?\d+)?|\d(?:_?\d)*\.?(?:[eE][-+]?\d+)?)/;

/** Recursive descent over Python's literals. */
class LiteralParser {
  readonly #text: string;
  #i = 0;

  constructor(text: string) {
    this.#text = text.trimStart();
  }

  parse(): unknown {
    const first = this.#value();
    this.#space();
    let value = first;
    if (this.#peek() === ',') {
      // `80,443` is a tuple.
      const items = [first];
      while (this.#take(',')) {
        this.#space();
        if (this.#atEnd()) break;
        items.push(this.#value());
        this.#space();
      }
      value = items;
    }
    if (!this.#atEnd()) throw new NotALiteral();
    return value;
  }

  /** A comment ends a literal, as in Python. */
  #atEnd(): boolean {
    return this.#i >= this.#text.length || this.#peek() === '#';
  }

  #peek(): string {
    return this.#text[this.#i] ?? '';
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#i++;
    return true;
  }

  #space(): void {
    while (/\s/.test(this.#peek())) this.#i++;
  }

  #value(): unknown {
    this.#space();
    const rest = this.#text.slice(this.#i);
    const [word] = /^(True|False|None)(?!\w)/.exec(rest) ?? [];
    if (word !== undefined) {
      this.#i += word.length;
      return word === 'None' ? null : word === 'True';
    }
    if (/^(?:[rRuU]?)['"]/.test(rest)) return this.#strings();
    if (this.#take('[')) return this.#items(']');
    if (this.#take('(')) return this.#tuple();
    if (this.#take('{')) return this.#mapping();
    return this.#number();
  }

  #number(): number | string {
    const start = this.#i;
    let sign = 1;
    while (this.#peek() === '-' || this.#peek() === '+') {
      if (this.#peek() === '-') sign = -sign;
      this.#i++;
    }
    const [digits] = NUMBER.exec(this.#text.slice(this.#i)) ?? [];
    // `0644` is no number in Python 3.
    if (digits === undefined || /^0[\d_]*[1-9][\d_]*$/.test(digits)) throw new NotALiteral();
    this.#i += digits.length;
    if (/[\w.]/.test(this.#peek())) throw new NotALiteral();
    const number = sign * Number(digits.replaceAll('_', ''));
    const whole = !/[.eE]/.test(digits) || /^0[xX]/.test(digits);
    // A number that JavaScript can't hold exactly is better off as the text it was.
    return whole && !Number.isSafeInteger(number) ? this.#text.slice(start, this.#i) : number;
  }

  /** Neighbouring strings are one string, as in Python. */
  #strings(): string {
    let all = '';
    for (;;) {
      const [prefix] = /^[rRuU]?(?=['"])/.exec(this.#text.slice(this.#i)) ?? [];
      if (prefix === undefined) return all;
      this.#i += prefix.length;
      all += this.#string(/r/i.test(prefix));
      this.#space();
    }
  }

  #string(raw: boolean): string {
    const one = this.#peek();
    const quote = this.#text.startsWith(one.repeat(3), this.#i) ? one.repeat(3) : one;
    this.#i += quote.length;
    let value = '';
    while (!this.#text.startsWith(quote, this.#i)) {
      const c = this.#peek();
      if (c === '') throw new NotALiteral();
      this.#i++;
      if (c !== '\\') value += c;
      else if (raw) value += c + this.#next();
      else value += this.#escape();
    }
    this.#i += quote.length;
    return value;
  }

  #next(): string {
    const c = this.#peek();
    if (c === '') throw new NotALiteral();
    this.#i++;
    return c;
  }

  #escape(): string {
    const c = this.#next();
    const simple = ESCAPES[c];
    if (simple !== undefined) return simple;
    const length = c === 'x' ? 2 : c === 'u' ? 4 : c === 'U' ? 8 : 0;
    if (length > 0) {
      const hex = this.#text.slice(this.#i, this.#i + length);
      if (!new RegExp(`^[\\da-fA-F]{${length}}$`).test(hex) || Number.parseInt(hex, 16) > 0x10ffff)
        throw new NotALiteral();
      this.#i += length;
      return String.fromCodePoint(Number.parseInt(hex, 16));
    }
    const [octal] = /^[0-7]{1,3}/.exec(this.#text.slice(this.#i - 1)) ?? [];
    if (octal === undefined) return `\\${c}`;
    this.#i += octal.length - 1;
    return String.fromCharCode(Number.parseInt(octal, 8));
  }

  /** Values up to `end`, commas between; a last comma is fine. */
  #items(end: string): unknown[] {
    const items: unknown[] = [];
    for (;;) {
      this.#space();
      if (this.#take(end)) return items;
      items.push(this.#value());
      this.#space();
      if (this.#take(',')) continue;
      if (this.#take(end)) return items;
      throw new NotALiteral();
    }
  }

  #tuple(): unknown {
    const start = this.#i;
    const items = this.#items(')');
    // (1) is a number in brackets, (1,) a tuple.
    const single = items.length === 1 && !/,\s*\)$/.test(this.#text.slice(start, this.#i));
    return single ? items[0] : items;
  }

  #mapping(): unknown {
    const map: Record<string, unknown> = {};
    const set: unknown[] = [];
    for (;;) {
      this.#space();
      if (this.#take('}')) break;
      const key = this.#value();
      this.#space();
      if (this.#take(':')) {
        if (typeof key === 'object' && key !== null) throw new NotALiteral();
        if (String(key) === '__proto__') throw new NotALiteral();
        map[String(key)] = this.#value();
      } else set.push(key);
      this.#space();
      if (this.#take(',')) continue;
      if (this.#take('}')) break;
      throw new NotALiteral();
    }
    if (set.length === 0) return map;
    if (Object.keys(map).length > 0) throw new NotALiteral();
    return [...new Set(set)];
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\n': '',
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};
