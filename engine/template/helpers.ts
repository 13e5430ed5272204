/** The helpers of templates: what configuration files need, and no more. Decisions belong into the role. */

import { kindOf } from '../errors.ts';
import { yaml } from '../lazy-packages.ts';
import { Secret, SecretText } from '../secret.ts';
import type { SecretPlaceholders } from './secrets.ts';

/** A function that templates can call. */
export interface Helper {
  /** How it is written, for messages: `join LIST SEPARATOR`. */
  readonly usage: string;
  readonly minArguments: number;
  readonly maxArguments: number;
  /** Is the first argument undefined, rather than an error, where the data lacks its name? */
  readonly acceptsMissing?: boolean;
  /** @throws HelperError on an argument that it cannot take. */
  run(args: readonly unknown[], secrets: SecretPlaceholders): unknown;
}

/** An argument that a helper cannot take. The renderer adds the position. */
export class HelperError extends Error {}

/** Every helper by name. */
export const HELPERS: Readonly<Record<string, Helper>> = {
  default: {
    usage: 'default NAME VALUE',
    minArguments: 2,
    maxArguments: 2,
    acceptsMissing: true,
    run: ([value, fallback]) => value ?? fallback,
  },
  defined: {
    usage: 'defined NAME',
    minArguments: 1,
    maxArguments: 1,
    acceptsMissing: true,
    run: ([value]) => value !== undefined && value !== null,
  },
  join: {
    usage: 'join LIST SEPARATOR',
    minArguments: 1,
    maxArguments: 2,
    run([list, separator = ','], secrets) {
      if (!Array.isArray(list)) throw new HelperError(`join needs a list, and got ${kindOf(list)}`);
      return list.map((item) => textOf(item, secrets)).join(textOf(separator, secrets));
    },
  },
  indent: {
    usage: 'indent TEXT COLUMNS',
    minArguments: 2,
    maxArguments: 2,
    run([text, columns], secrets) {
      if (typeof columns !== 'number' || !Number.isInteger(columns) || columns < 0) {
        throw new HelperError('indent needs a number of columns: {{indent text 4}}');
      }
      const pad = ' '.repeat(columns);
      const isSecret = text instanceof Secret || text instanceof SecretText;
      // Empty lines stay empty. A secret's own lines are indented inside it.
      const indented = (plain: string): string => plain.replace(/\n(?=[^\n])/g, `\n${pad}`);
      return (isSecret ? secrets.textOf(text, indented) : textOf(text, secrets)).replace(/^(?=[^\n])/gm, pad);
    },
  },
  json: {
    usage: 'json VALUE',
    minArguments: 1,
    maxArguments: 1,
    run: ([value], secrets) => secrets.quote(JSON.stringify(secrets.replaceIn(value))),
  },
  toYaml: {
    usage: 'toYaml VALUE',
    minArguments: 1,
    maxArguments: 1,
    run([value], secrets) {
      const { stringify } = yaml();
      // Version 1.1 quotes what older readers take for another type (yes, 22:22, 0644).
      const text = stringify(secrets.replaceIn(value), { lineWidth: 0, version: '1.1', aliasDuplicateObjects: false });
      return secrets.quote(text.replace(/\n$/, ''));
    },
  },
};

/** A value as text, with placeholders for secrets. @throws HelperError on a value without text. */
export function textOf(value: unknown, secrets: SecretPlaceholders): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value instanceof Secret || value instanceof SecretText) return secrets.textOf(value);
  throw new HelperError(`it is ${kindOf(value)}, which has no text`);
}
