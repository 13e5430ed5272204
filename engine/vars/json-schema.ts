/** Variable schemas as JSON Schema, for ajv and for editors. */
import type { ValueSchema, VarsSchema } from './schema.ts';

/** A JSON Schema, as plain data. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** The schema of one value. A mapping with named keys takes no others unless it says so. */
export function valueJsonSchema(schema: ValueSchema): JsonSchema {
  switch (schema.type) {
    case 'array':
      return { ...schema, items: valueJsonSchema(schema.items) };
    case 'object': {
      const { properties, additionalProperties } = schema;
      return {
        ...schema,
        ...(properties && { properties: mapValues(properties, valueJsonSchema) }),
        additionalProperties: additionalProperties ? valueJsonSchema(additionalProperties) : properties === undefined,
      };
    }
    default:
      return { ...schema };
  }
}

/** The schema of a role's variables: a mapping that may also hold other variables. */
export function varsJsonSchema(schema: VarsSchema): JsonSchema {
  return {
    type: 'object',
    properties: mapValues(schema.properties, valueJsonSchema),
    ...(schema.required && { required: schema.required }),
  };
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, change: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
