/** Which variables are secret, for whatever shows variables to people. */
import { holdsSecret } from './coerce.ts';
import type { VarsSchema } from './schema.ts';

/** Names of variables that are secret, or hold a secret, by what roles declare. */
export function secretNames(schemas: Iterable<VarsSchema>): ReadonlySet<string> {
  const names = [...schemas].flatMap(({ properties }) =>
    Object.entries(properties).flatMap(([name, schema]) => (holdsSecret(schema) ? [name] : [])),
  );
  return new Set(names);
}
