/**
 * Values of INI inventories. Ansible reads each as a Python literal where it is one, and as text where it is not:
 * `8080` is a number, `True` a boolean, `yes` text, `['a', 'b']` a list. Read here: numbers, True, False, None, quoted
 * text, lists and dicts. Python's other literals (tuples, sets, bytes, raw strings) stay text.
 */

/** The value of a Python literal, or the text itself. */
export function parseLiteral(text: string): unknown {
  const json = toJson(text.trim());
  if (json === undefined) return text;
  try {
    return JSON.parse(json);
  } catch {
    return text;
  }
}

const TOKEN =
  /\s*(?:(True|False|None)(?!\w)|([-+]?\.?\d(?:[eE][-+]|[\w.])*)|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([[\]{},:]))\s*/sy;
const WORDS: Readonly<Record<string, string>> = { True: 'true', False: 'false', None: 'null' };

/**
 * The tokens of a literal as JSON; undefined where one is no token. Whether they are in order is for JSON.parse to say.
 */
function toJson(text: string): string | undefined {
  const tokens: string[] = [];
  for (let end = 0; end < text.length; end = TOKEN.lastIndex) {
    // A comment ends a literal, as in Python.
    if (text[end] === '#') break;
    TOKEN.lastIndex = end;
    const [match, word, number, single, double, bracket] = TOKEN.exec(text) ?? [];
    if (match === undefined) return undefined;
    const last = tokens.at(-1) ?? '[';
    // Python takes a comma after the last item.
    if ((bracket === ']' || bracket === '}') && last === ',' && !/^[[{,:]$/.test(tokens.at(-2) ?? '[')) tokens.pop();
    // JSON's keys are text.
    if (bracket === ':' && !/^["[\]{},:]/.test(last)) tokens[tokens.length - 1] = `"${last}"`;
    const string = single ?? double;
    const token =
      bracket ??
      (word && WORDS[word]) ??
      (string === undefined ? jsonNumber(number ?? '') : JSON.stringify(decodeEscapes(string)));
    if (token === undefined) return undefined;
    tokens.push(token);
  }
  return tokens.join(' ');
}

const INTEGER = /^(?:0[xX](?:_?[\da-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|0(?:_?0)*|[1-9](?:_?\d)*)$/;
const FLOAT = /^(?:\d(?:_?\d)*\.?(?:\d(?:_?\d)*)?|\.\d(?:_?\d)*)(?:[eE][-+]?\d+)?$/;

function jsonNumber(text: string): string | undefined {
  const digits = text.replace(/^[-+]/, '');
  const isInteger = INTEGER.test(digits);
  // `0644` is no number in Python 3.
  if (!isInteger && (/^\d+$/.test(digits.replaceAll('_', '')) || !FLOAT.test(digits))) return undefined;
  const number = Number(digits.replaceAll('_', '')) * (text.startsWith('-') ? -1 : 1);
  // A whole number that JavaScript cannot hold exactly stays text.
  if (isInteger && !Number.isSafeInteger(number)) return JSON.stringify(text);
  return Number.isFinite(number) ? String(number) : undefined;
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** The escapes of Python's strings replaced: `\n`, `\"`, `\x41`, `\u00e9`. An unknown one stays, as in Python. */
export function decodeEscapes(text: string): string {
  return text.replace(
    /\\(?:U([\da-fA-F]{8})|u([\da-fA-F]{4})|x([\da-fA-F]{2})|([\\'"abfnrtv]))/g,
    (whole, long?: string, short?: string, byte?: string, letter?: string) => {
      if (letter !== undefined) return ESCAPES[letter] ?? letter;
      const code = Number.parseInt(long ?? short ?? byte ?? '', 16);
      return code > 0x10ffff ? whole : String.fromCodePoint(code);
    },
  );
}
