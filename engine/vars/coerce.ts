/**
 * Converts values to the types of their schema. INI and `-e name=value` have no types, and a reference inside text
 * always gives text: there `"6443"` becomes a number where the schema says so. A value that was written with a type
 * keeps it.
 */
import type { VarDefinition } from '../inventory/inventory.ts';
import { isMapping } from '../inventory/yaml.ts';
import { Secret, SecretText } from '../secret.ts';
import type { ValueSchema } from './schema.ts';

/** A variable's value as ajv takes it: secrets open, lists and mappings copied (ajv writes defaults into them). */
export function coerce(value: unknown, definition: VarDefinition, schema: ValueSchema): unknown {
  const { untyped, text } = definition;
  // `version=1.30` in INI is the number 1.3 to Python; the text is what was meant. `name="'1.30'"` is text already.
  if (untyped && schema.type === 'string' && typeof value !== 'string' && text !== undefined && !isContainer(value)) {
    return text;
  }
  return coerceValue(value, definition.value, schema, untyped === true);
}

function coerceValue(value: unknown, written: unknown, schema: ValueSchema, untyped: boolean): unknown {
  if (value instanceof Secret || value instanceof SecretText) return value.reveal();
  const isConverted = untyped || (typeof written === 'string' && written.includes('{{'));
  if (Array.isArray(value)) {
    const items = schema.type === 'array' ? schema.items : undefined;
    return value.map((item: unknown, i) => {
      const part: unknown = Array.isArray(written) ? written[i] : undefined;
      return items ? coerceValue(item, part, items, false) : copy(item);
    });
  }
  if (isMapping(value)) {
    const schemaOf = (key: string): ValueSchema | undefined =>
      schema.type === 'object' ? (schema.properties?.[key] ?? (schema.additionalProperties || undefined)) : undefined;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => {
        const part = isMapping(written) ? written[key] : undefined;
        const inner = schemaOf(key);
        return [key, inner ? coerceValue(item, part, inner, false) : copy(item)];
      }),
    );
  }
  return isConverted ? coerceScalar(value, schema) : value;
}

function coerceScalar(value: unknown, schema: ValueSchema): unknown {
  if (schema.type === 'boolean' && (typeof value === 'string' || typeof value === 'number')) {
    const word = String(value).toLowerCase();
    if (/^(yes|true|on|1)$/.test(word)) return true;
    if (/^(no|false|off|0)$/.test(word)) return false;
  }
  if ((schema.type === 'integer' || schema.type === 'number') && typeof value === 'string') {
    if (/^[-+]?(\d+|\d*\.\d+)$/.test(value)) return Number(value);
  }
  if (schema.type === 'string' && typeof value === 'number') return String(value);
  return value;
}

function copy(value: unknown): unknown {
  if (value instanceof Secret || value instanceof SecretText) return value.reveal();
  if (Array.isArray(value)) return value.map(copy);
  return isMapping(value) ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copy(item)])) : value;
}

function isContainer(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

/** `value` with a Secret for every text that its schema declares secret, at any depth. */
export function closeSecrets(value: unknown, schema: ValueSchema): unknown {
  if (schema.type === 'string') return schema.secret && typeof value === 'string' ? new Secret(value) : value;
  if (schema.type === 'array' && Array.isArray(value)) {
    return value.map((item) => closeSecrets(item, schema.items));
  }
  if (schema.type === 'object' && isMapping(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => {
        const inner = schema.properties?.[key] ?? (schema.additionalProperties || undefined);
        return [key, inner ? closeSecrets(item, inner) : item];
      }),
    );
  }
  return value;
}

/** True when a value of this schema holds a secret, at any depth. */
export function holdsSecret(schema: ValueSchema): boolean {
  if (schema.type === 'string') return schema.secret === true;
  if (schema.type === 'array') return holdsSecret(schema.items);
  if (schema.type !== 'object') return false;
  return (
    Object.values(schema.properties ?? {}).some(holdsSecret) ||
    (schema.additionalProperties ? holdsSecret(schema.additionalProperties) : false)
  );
}
