/** JSON Schemas for editors: completion, hover texts and checks while somebody writes group_vars. */
import { holdsSecret } from './coerce.ts';
import { FORMATS } from './formats.ts';
import { type JsonSchema, valueJsonSchema } from './json-schema.ts';
import type { ValueSchema } from './schema.ts';
import type { DeclaresVars } from './validate.ts';

/** A reference stands wherever a value can: `"{{ other_var }}"`. */
const REFERENCE: JsonSchema = { type: 'string', pattern: '\\{\\{' };

/**
 * Files for `group_vars/schema/`, by name: one per role, and `all.json` that holds them together. Their text depends on
 * nothing but the roles.
 * @throws Error when two roles declare a variable differently: a file of variables could please only one of them.
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
  // Nothing is required: a variable may just as well be set in another file.
  return {
    $schema: DRAFT,
    title: `Variables of the role ${role.name}`,
    type: ['object', 'null'],
    properties: Object.fromEntries(properties),
  };
}

function editorSchema(schema: ValueSchema): JsonSchema {
  const { description, default: fallback, examples, ...rest } = plain(valueJsonSchema(schema));
  return {
    description,
    ...(fallback !== undefined && !holdsSecret(schema) && { default: fallback }),
    ...(examples !== undefined && { examples }),
    anyOf: [rest, REFERENCE],
  };
}

/** Our own keywords as what editors know: a secret is write-only; a format is named in the description. */
function plain(schema: JsonSchema): JsonSchema {
  const { secret, format, items, properties, additionalProperties, ...rest } = schema;
  const words = typeof format === 'string' ? FORMATS[format]?.words : undefined;
  return {
    ...rest,
    ...(words !== undefined && { description: `${String(rest['description'])} Format: ${words}.` }),
    ...(secret === true && { writeOnly: true }),
    ...(isSchema(items) && { items: plain(items) }),
    ...(isSchema(properties) && { properties: mapSchemas(properties) }),
    ...(additionalProperties !== undefined && {
      additionalProperties: isSchema(additionalProperties) ? plain(additionalProperties) : additionalProperties,
    }),
  };
}

function mapSchemas(properties: JsonSchema): JsonSchema {
  return Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [name, isSchema(schema) ? plain(schema) : schema]),
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
