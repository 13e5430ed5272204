/** Which variables are secret, for scripts that show variables. */
import { holdsSecret } from './coerce.ts';
import type { VarsSchema } from './schema.ts';

/** The names of variables that are secret or contain a secret, by the roles' schemas. */
export function secretNames(schemas: Iterable<VarsSchema>): ReadonlySet<string> {
  const names = [...schemas].flatMap(({ properties }) =>
    Object.entries(properties).flatMap(([name, schema]) => (holdsSecret(schema) ? [name] : [])),
  );
  return new Set(names);
}
