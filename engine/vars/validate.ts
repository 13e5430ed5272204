/** A role's variables for a host: validated by the role's schema, with defaults, and with Secrets. */
import type { Ajv, ValidateFunction } from 'ajv';
import { type Problem, UserError } from '../errors.ts';
import type { InventoryHost, VarDefinition } from '../inventory/inventory.ts';
import { ajv as ajvPackage } from '../lazy-packages.ts';
import { closeSecrets, coerce } from './coerce.ts';
import { FORMATS } from './formats.ts';
import { varsJsonSchema } from './json-schema.ts';
import { problemOf } from './messages.ts';
import type { Infer, VarsSchema } from './schema.ts';

/** A role's name and its schema. */
export interface DeclaresVars<S extends VarsSchema = VarsSchema> {
  readonly name: string;
  readonly vars: S;
}

/** The variables, or everything that is wrong with them. */
export type VarsResult<V> =
  | { readonly vars: V; readonly problems: readonly [] }
  | { readonly vars: undefined; readonly problems: readonly Problem[] };

/**
 * The values of a role's variables for a host. Those of a play or a role call are added by {@link
 * InventoryHost.withVars}. What is wrong with a user's value is a problem in the result, never an error.
 */
export function validateVars<S extends VarsSchema>(role: DeclaresVars<S>, host: InventoryHost): VarsResult<Infer<S>> {
  const problems: Problem[] = [];
  const definitions = new Map<string, VarDefinition>();
  const values: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(role.vars.properties)) {
    const [definition] = host.definitions(name);
    if (!definition) continue;
    definitions.set(name, definition);
    try {
      values[name] = coerce(host.var(name), definition, schema);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      problems.push(...error.problems);
    }
  }
  const failed = [...definitions.keys()].filter((name) => !(name in values));
  const check = validatorOf(role.vars);
  if (!check(values)) {
    const context = { role: role.name, host: host.name, schema: role.vars, definitions };
    for (const error of check.errors ?? []) {
      // A value that cannot be read is reported already.
      if (error.instancePath === '' && failed.includes(String(error.params['missingProperty']))) continue;
      problems.push(problemOf(error, context));
    }
  }
  const vars: unknown = Object.fromEntries(
    Object.entries(role.vars.properties).map(([name, schema]) => [name, closeSecrets(values[name], schema)]),
  );
  return isChecked<Infer<S>>(vars, problems) ? { vars, problems: [] } : { vars: undefined, problems };
}

/** ajv has compared the values with the schema, from which the type is inferred. */
function isChecked<V>(vars: unknown, problems: readonly Problem[]): vars is V {
  return vars !== undefined && problems.length === 0;
}

let ajv: Ajv | undefined;
const validators = new WeakMap<VarsSchema, ValidateFunction>();

/** ajv's check of a schema, compiled once. The package is loaded with the first. */
function validatorOf(schema: VarsSchema): ValidateFunction {
  const known = validators.get(schema);
  if (known) return known;
  ajv ??= loadAjv();
  const check = ajv.compile(varsJsonSchema(schema));
  validators.set(schema, check);
  return check;
}

function loadAjv(): Ajv {
  const { Ajv: Constructor } = ajvPackage();
  const made = new Constructor({
    allErrors: true,
    useDefaults: true,
    strict: true,
    verbose: true,
    // The schemas are our own and typed: validating or optimising them costs more than it saves.
    meta: false,
    validateSchema: false,
    code: { optimize: false },
  });
  made.addKeyword({ keyword: 'secret', schemaType: 'boolean' });
  for (const [name, format] of Object.entries(FORMATS)) made.addFormat(name, format.test);
  return made;
}
