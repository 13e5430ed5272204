/** A role's variables for a host: found, checked against the role's schema, defaults filled in, secrets closed. */
import type { Ajv, ValidateFunction } from 'ajv';
import { type Problem, UserError } from '../errors.ts';
import type { InventoryHost, VarDefinition } from '../inventory/inventory.ts';
import { ajv as ajvPackage } from '../lazy-packages.ts';
import { closeSecrets, coerce } from './coerce.ts';
import { FORMATS } from './formats.ts';
import { varsJsonSchema } from './json-schema.ts';
import { problemOf } from './messages.ts';
import type { Infer, VarsSchema } from './schema.ts';

/** A role, as far as its variables go. */
export interface DeclaresVars<S extends VarsSchema = VarsSchema> {
  readonly name: string;
  readonly vars: S;
}

/** The variables, or everything that is wrong with them. */
export type VarsResult<V> =
  | { readonly vars: V; readonly problems: readonly [] }
  | { readonly vars: undefined; readonly problems: readonly Problem[] };

/**
 * The variables that `role` declares, as they hold for `host`. What a play or a role call brings goes in by
 * {@link InventoryHost.withVars}. Never throws for what a user wrote.
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
      // A value that could not be read is not missing too.
      if (error.instancePath === '' && failed.includes(String(error.params['missingProperty']))) continue;
      problems.push(problemOf(error, context));
    }
  }
  const vars: unknown = Object.fromEntries(
    Object.entries(role.vars.properties).map(([name, schema]) => [name, closeSecrets(values[name], schema)]),
  );
  return isChecked<Infer<S>>(vars, problems) ? { vars, problems: [] } : { vars: undefined, problems };
}

/** The type follows from the schema, and ajv has just compared the values with it. */
function isChecked<V>(vars: unknown, problems: readonly Problem[]): vars is V {
  return vars !== undefined && problems.length === 0;
}

let ajv: Ajv | undefined;
const validators = new WeakMap<VarsSchema, ValidateFunction>();

/** ajv's check for a schema, compiled once. ajv itself is loaded with the first. */
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
    // Schemas are ours and typed; checking and optimising them costs more than it saves.
    meta: false,
    validateSchema: false,
    code: { optimize: false },
  });
  made.addKeyword({ keyword: 'secret', schemaType: 'boolean' });
  for (const [name, format] of Object.entries(FORMATS)) made.addFormat(name, format.test);
  return made;
}
