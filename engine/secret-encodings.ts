/** The forms in which a secret comes back from a host: as it is, or encoded by a program on the way. */

/** Values longer than this, in characters, are looked for as they are and line by line; their encodings are not. */
const LONGEST_ENCODED = 16 * 1024;

/** Shorter pieces of base64 also occur in base64 of other things. */
const SHORTEST_PIECE = 6;

/** Widths at which tools break base64: coreutils at 76 characters, openssl at 64. */
const BASE64_WIDTHS = [76, 64];

/** Every form of `value` that {@link mask} looks for, `value` itself first. May hold a form twice. */
export function encodingsOf(value: string): readonly string[] {
  const plain = [value, ...value.split('\n')];
  if (value.length > LONGEST_ENCODED) return plain;
  // A lone surrogate leaves this process as a replacement character, and encodeURIComponent() refuses it.
  const sent = Buffer.from(value).toString();
  const texts = [...new Set([sent, ...jsonForms(sent)])];
  return [...plain, ...texts, ...shellForms(sent), ...urlForms(sent), ...texts.flatMap(base64Forms)];
}

/** Inside a JSON string: as JavaScript writes it, with `<`, `>` and `&` escaped as Go does, in ASCII as Python does. */
function jsonForms(value: string): readonly string[] {
  const json = JSON.stringify(value).slice(1, -1);
  const escaped = (pattern: RegExp): string =>
    json.replaceAll(pattern, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return [json, escaped(/[<>&\u2028\u2029]/g), escaped(/[\x7f-\uffff]/g)];
}

/**
 * Quoted for a shell: as `sh` and Python's shlex write it, as `set -x` of dash prints it, and as bash's `printf %q`
 * does.
 */
function shellForms(value: string): readonly string[] {
  return [
    value.replaceAll("'", "'\\''"),
    value.replaceAll("'", `'"'"'`),
    value.replaceAll(/[^\w@%+=:,./-]/gu, '\\$&'),
    value.replaceAll(/["$`\\]/g, '\\$&'),
  ];
}

/** In a URL, and in a form. */
function urlForms(value: string): readonly string[] {
  const url = encodeURIComponent(value);
  const strict = url.replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  return [url, strict, strict.replaceAll('%20', '+')].flatMap((form) => [
    form,
    form.replaceAll(/%../g, (hex) => hex.toLowerCase()),
  ]);
}

/** In base64, with both alphabets: the whole value, also as several lines, and as a part of something longer. */
function base64Forms(value: string): readonly string[] {
  const whole = [value, `${value}\n`].map((text) => Buffer.from(text).toString('base64'));
  const lines = whole.flatMap((text) =>
    BASE64_WIDTHS.flatMap((width) => text.match(new RegExp(`.{1,${width}}`, 'g')) ?? []),
  );
  return [...whole, ...[...lines, ...base64Pieces(Buffer.from(value))].filter((form) => form.length >= SHORTEST_PIECE)]
    .flatMap((form) => [form, form.replace(/=+$/, '')])
    .flatMap((form) => [form, form.replaceAll('+', '-').replaceAll('/', '_')]);
}

/**
 * The base64 digits that `bytes` give rise to inside something longer: they depend on how many bytes stand before,
 * modulo 3. Digits that also depend on a neighbour are left out.
 */
function base64Pieces(bytes: Buffer): readonly string[] {
  return [0, 1, 2].map((before) => {
    const digits = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    return digits.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
  });
}
