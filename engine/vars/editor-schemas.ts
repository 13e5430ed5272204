/** JSON Schemas by which editors complete, explain and check group_vars. */
import { holdsSecret } from './coerce.ts';
import { FORMATS } from './formats.ts';
import { type JsonSchema, valueJsonSchema } from './json-schema.ts';
import type { ValueSchema } from './schema.ts';
import type { DeclaresVars } from './validate.ts';

/** A reference, which is allowed for any value: `"{{ other_var }}"`. */
const REFERENCE: JsonSchema = { type: 'string', pattern: '\\{\\{' };

/**
 * The files of `group_vars/schema/`, by name: one per role, and `all.json`, which refers to them.
 * @throws Error when two roles declare a variable differently: no value could be right for both.
 */
export function editorSchemas(roles: readonly DeclaresVars[]): ReadonlyMap<string, string> {
  checkAgreement(roles);
  const declaring = roles.filter((role) => Object.keys(role.vars.properties).length > 0);
  const files = declaring.map((role) => [`${role.name}.json`, text(roleSchema(role))] as const);
  const all = {
    $schema: DRAFT,
    title: 'Variables of all roles',
    allOf: declaring.map((role) => ({ $ref: `${role.name}.json` })),
  };
  return new Map([...files, ['all.json', text(all)]]);
}

const DRAFT = 'http://json-schema.org/draft-07/schema#';

function roleSchema(role: DeclaresVars): JsonSchema {
  const properties = Object.entries(role.vars.properties).map(
    ([name, schema]) => [name, editorSchema(schema)] as const,
  );
  // Nothing is required: a variable may be set in another file.
  return {
    $schema: DRAFT,
    title: `Variables of the role ${role.name}`,
    type: ['object', 'null'],
    properties: Object.fromEntries(properties),
  };
}

function editorSchema(schema: ValueSchema): JsonSchema {
  const { description, default: fallback, examples, ...rest } = standardSchema(valueJsonSchema(schema));
  return {
    description,
    ...(fallback !== undefined && !holdsSecret(schema) && { default: fallback }),
    ...(examples !== undefined && { examples }),
    anyOf: [rest, REFERENCE],
  };
}

/** Our own keywords in standard ones: a secret is write-only; a format goes into the description. */
function standardSchema(schema: JsonSchema): JsonSchema {
  const { secret, format, items, properties, additionalProperties, ...rest } = schema;
  const formatName = typeof format === 'string' ? FORMATS[format]?.description : undefined;
  return {
    ...rest,
    ...(formatName !== undefined && { description: `${String(rest['description'])} Format: ${formatName}.` }),
    ...(secret === true && { writeOnly: true }),
    ...(isSchema(items) && { items: standardSchema(items) }),
    ...(isSchema(properties) && { properties: standardProperties(properties) }),
    ...(additionalProperties !== undefined && {
      additionalProperties: isSchema(additionalProperties)
        ? standardSchema(additionalProperties)
        : additionalProperties,
    }),
  };
}

function standardProperties(properties: JsonSchema): JsonSchema {
  return Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [name, isSchema(schema) ? standardSchema(schema) : schema]),
  );
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function checkAgreement(roles: readonly DeclaresVars[]): void {
  const seen = new Map<string, { role: string; schema: string }>();
  for (const role of roles) {
    for (const [name, declared] of Object.entries(role.vars.properties)) {
      const schema = JSON.stringify(valueJsonSchema(declared));
      const first = seen.get(name);
      if (first && first.schema !== schema) {
        throw new Error(`the roles ${first.role} and ${role.name} declare ${name} differently`);
      }
      seen.set(name, first ?? { role: role.name, schema });
    }
  }
}

function text(schema: JsonSchema): string {
  return `${JSON.stringify(schema, null, 2)}\n`;
}
