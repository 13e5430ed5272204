/** Turns ajv's errors into problems, with the position in the user's files. */
import type { ErrorObject } from 'ajv';
import { didYouMean, kindOf, type Problem } from '../errors.ts';
import type { VarDefinition } from '../inventory/inventory.ts';
import { findPart, type ValuePart } from '../inventory/yaml-positions.ts';
import { holdsSecret } from './coerce.ts';
import { FORMATS } from './formats.ts';
import type { StringSchema, ValueSchema, VarsSchema } from './schema.ts';

/** The role and host whose variables were validated. */
export interface MessageContext {
  readonly role: string;
  readonly host: string;
  readonly schema: VarsSchema;
  /** The definition of each variable that is set. */
  readonly definitions: ReadonlyMap<string, VarDefinition>;
}

/** The problem that an error of ajv stands for. */
export function problemOf(error: ErrorObject, context: MessageContext): Problem {
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const [name] = path;
  if (name === undefined) return missingVariable(String(error.params['missingProperty']), context);
  const definition = context.definitions.get(name);
  const part = definition && findPart(definition, path.slice(1));
  const schema = schemaAt(context.schema, path);
  const shown = showPath(path);
  const base = { at: part?.at, host: part?.at ? undefined : context.host };
  const from = definition && !definition.at ? ` (set by ${definition.source})` : '';
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(error.params['additionalProperty']);
      const known = schema?.type === 'object' ? Object.keys(schema.properties ?? {}) : [];
      const near = didYouMean(key, known);
      const keyAt = definition && findPart(definition, [...path.slice(1), key]).keyAt;
      return {
        ...base,
        at: keyAt ?? base.at,
        what: `unknown key "${key}" in ${shown}${from}`,
        expected: known.join(', '),
        hint: near && `did you mean "${near}"?`,
      };
    }
    case 'required': {
      const key = String(error.params['missingProperty']);
      const inner = schema?.type === 'object' ? schema.properties?.[key] : undefined;
      return {
        ...base,
        what: `missing key "${key}" in ${shown}${from}`,
        expected: inner && `${key}: ${describe(inner)}`,
      };
    }
    default: {
      const value = show(error.data, schema, part);
      return {
        ...base,
        what: `${shown}${from} ${complaint(error, value)}`,
        expected: schema && describe(schema),
        hint: advice(error, schema, part),
      };
    }
  }
}

function missingVariable(name: string, { role, host, schema }: MessageContext): Problem {
  const declared = schema.properties[name];
  const example = declared?.examples?.[0];
  return {
    what: `${name} is not set, and role ${role} needs it`,
    host,
    expected: declared && describe(declared),
    hint:
      example === undefined || (declared && holdsSecret(declared))
        ? `set ${name} in group_vars/all.yml`
        : `set it in group_vars/all.yml: ${name}: ${JSON.stringify(example)}`,
  };
}

/** The rest of the message after the variable's name. */
function complaint(error: ErrorObject, value: string): string {
  const { params } = error;
  switch (error.keyword) {
    case 'type':
      return `is ${value}`;
    case 'enum':
      return `is ${value}`;
    case 'format':
    case 'pattern':
      return `is ${value}`;
    case 'minLength':
      return `is too short: ${value}`;
    case 'minimum':
      return `is too small: ${value}`;
    case 'maximum':
      return `is too large: ${value}`;
    case 'minItems':
      return params['limit'] === 1 ? 'is an empty list' : `has fewer than ${String(params['limit'])} entries`;
    case 'uniqueItems':
      return `has the same entry twice, at [${String(params['i'])}] and [${String(params['j'])}]`;
    default:
      return `${error.message ?? 'is wrong'}: ${value}`;
  }
}

/** What to do, where it is more than to write another value. */
function advice(error: ErrorObject, schema: ValueSchema | undefined, part: ValuePart | undefined): string | undefined {
  const value: unknown = error.data;
  if (error.keyword === 'enum' && schema?.type === 'string' && typeof value === 'string') {
    const near = didYouMean(value, schema.enum ?? []);
    return near && `did you mean "${near}"?`;
  }
  if (error.keyword !== 'type' || !schema) return undefined;
  if (schema.type === 'string' && (typeof value === 'number' || typeof value === 'boolean')) {
    const text = part?.text ?? String(value);
    // That a secret would be valid in quotes is not shown either.
    if (holdsSecret(schema)) return 'put it in quotes';
    return fits(text, schema) ? `put it in quotes: "${text}"` : undefined;
  }
  if (schema.type === 'boolean' && typeof value === 'string' && /^(yes|no|true|false|on|off)$/i.test(value)) {
    return `write it without quotes: ${value}`;
  }
  if (schema.type === 'integer' && typeof value === 'string' && /^-?\d+$/.test(value)) {
    return `write it without quotes: ${value}`;
  }
  const isEntry = schema.type === 'array' && (schema.items.type !== 'string' || fits(String(value), schema.items));
  if (isEntry && typeof value === 'string') return `make it a list: [${value}]`;
  return undefined;
}

/** A value in a message: its type and the value, shortened; only the type of a secret. */
function show(value: unknown, schema: ValueSchema | undefined, part: ValuePart | undefined): string {
  const kind = kindOf(value);
  if (value === null || value === undefined || (schema && holdsSecret(schema))) return kind;
  const text = typeof value === 'string' ? JSON.stringify(value) : (part?.text ?? JSON.stringify(value));
  const short = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  if (typeof value === 'number' && part?.text !== undefined && part.text !== String(value)) {
    return `the number ${value} (that is how YAML reads ${part.text})`;
  }
  if (typeof value === 'boolean' && part?.text !== undefined && part.text !== String(value)) {
    return `the boolean ${String(value)} (that is how YAML reads ${part.text})`;
  }
  return kind === 'text' ? `the text ${short}` : kind.startsWith('a ') ? `the ${kind.slice(2)} ${short}` : short;
}

/** What a schema allows, for messages: `a whole number, 1 to 65535`. */
export function describe(schema: ValueSchema): string {
  switch (schema.type) {
    case 'string':
      if (schema.enum) return schema.enum.join(', ');
      if (schema.format) return FORMATS[schema.format]?.description ?? schema.format;
      if (schema.pattern) return likeOf(schema, schema.pattern);
      return schema.minLength ? `text, at least ${schema.minLength} characters` : 'text';
    case 'integer':
    case 'number': {
      const kind = schema.type === 'integer' ? 'a whole number' : 'a number';
      const { minimum, maximum } = schema;
      if (minimum !== undefined && maximum !== undefined) return `${kind}, ${minimum} to ${maximum}`;
      if (minimum !== undefined) return `${kind}, ${minimum} or more`;
      return maximum === undefined ? kind : `${kind}, at most ${maximum}`;
    }
    case 'boolean':
      return 'true or false';
    case 'array':
      return `a list of: ${describe(schema.items)}${schema.uniqueItems ? ', each once' : ''}`;
    case 'object': {
      const keys = Object.keys(schema.properties ?? {});
      if (keys.length > 0) return `a mapping with ${keys.join(', ')}`;
      return schema.additionalProperties
        ? `a mapping of names to: ${describe(schema.additionalProperties)}`
        : 'a mapping';
    }
  }
}

function fits(text: string, { enum: words, pattern, format, minLength = 0 }: StringSchema): boolean {
  return (
    (words?.includes(text) ?? true) &&
    (pattern === undefined || new RegExp(pattern, 'u').test(text)) &&
    (format === undefined || (FORMATS[format]?.test(text) ?? true)) &&
    text.length >= minLength
  );
}

/** An example says more than a pattern. */
function likeOf({ examples, default: usual, secret }: StringSchema, pattern: string): string {
  const [like] = secret ? [] : [...(examples ?? []), usual].filter((value) => value !== undefined && value !== '');
  return like === undefined ? `text that matches ${pattern}` : `text like ${String(like)}, matching ${pattern}`;
}

function schemaAt(schema: VarsSchema, path: readonly string[]): ValueSchema | undefined {
  const [name = '', ...rest] = path;
  let at = schema.properties[name];
  for (const key of rest) {
    if (at?.type === 'array') at = at.items;
    else if (at?.type === 'object') at = at.properties?.[key] ?? (at.additionalProperties || undefined);
    else return undefined;
  }
  return at;
}

function showPath(path: readonly string[]): string {
  return path.map((part, i) => (i === 0 ? part : /^\d+$/.test(part) ? `[${part}]` : `.${part}`)).join('');
}
