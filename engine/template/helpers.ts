/** The helpers that templates have. Only what configuration files need: decisions belong into the role. */

import { kindOf } from '../errors.ts';
import { yaml } from '../lazy-packages.ts';
import { Secret, SecretText } from '../secret.ts';
import type { SecretWords } from './secrets.ts';

/** A helper: gets its arguments, gives a value. Throws {@link HelperError} when it can't. */
export interface Helper {
  /** How it is written, for messages: `join LIST SEPARATOR`. */
  readonly usage: string;
  /** How many arguments it takes. */
  readonly least: number;
  readonly most: number;
  /** The first argument may be a name that the data lacks; it is undefined then. */
  readonly forgiving?: boolean;
  run(args: readonly unknown[], words: SecretWords): unknown;
}

/** What is wrong with a helper's argument; the renderer adds the place. */
export class HelperError extends Error {}

/** Every helper by name. */
export const HELPERS: Readonly<Record<string, Helper>> = {
  default: {
    usage: 'default NAME VALUE',
    least: 2,
    most: 2,
    forgiving: true,
    run: ([value, otherwise]) => value ?? otherwise,
  },
  defined: {
    usage: 'defined NAME',
    least: 1,
    most: 1,
    forgiving: true,
    run: ([value]) => value !== undefined && value !== null,
  },
  join: {
    usage: 'join LIST SEPARATOR',
    least: 1,
    most: 2,
    run([list, separator = ','], words) {
      if (!Array.isArray(list)) throw new HelperError(`join needs a list, and got ${kindOf(list)}`);
      return list.map((item) => textOf(item, words)).join(textOf(separator, words));
    },
  },
  indent: {
    usage: 'indent TEXT COLUMNS',
    least: 2,
    most: 2,
    run([text, columns], words) {
      if (typeof columns !== 'number' || !Number.isInteger(columns) || columns < 0) {
        throw new HelperError('indent needs a number of columns: {{indent text 4}}');
      }
      const pad = ' '.repeat(columns);
      const isSecret = text instanceof Secret || text instanceof SecretText;
      // Empty lines stay empty. A secret's own lines are indented inside it.
      const inside = (plain: string): string => plain.replace(/\n(?=[^\n])/g, `\n${pad}`);
      return (isSecret ? words.textOf(text, inside) : textOf(text, words)).replace(/^(?=[^\n])/gm, pad);
    },
  },
  json: {
    usage: 'json VALUE',
    least: 1,
    most: 1,
    run: ([value], words) => words.quoteWords(JSON.stringify(words.close(value))),
  },
  toYaml: {
    usage: 'toYaml VALUE',
    least: 1,
    most: 1,
    run([value], words) {
      const { stringify } = yaml();
      // version 1.1 quotes what an older reader would take for something else (yes, 22:22, 0644).
      const text = stringify(words.close(value), { lineWidth: 0, version: '1.1', aliasDuplicateObjects: false });
      return words.quoteWords(text.replace(/\n$/, ''));
    },
  },
};

/** A value as text, secrets in it as words. @throws HelperError on what has no text. */
export function textOf(value: unknown, words: SecretWords): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value instanceof Secret || value instanceof SecretText) return words.textOf(value);
  throw new HelperError(`it is ${kindOf(value)}, which has no text`);
}
