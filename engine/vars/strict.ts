/** Variables and facts as roles get them: a misspelt one would be "undefined" in what the role writes. */

import { PROBED_PROPERTIES } from '../inventory/strict-host.ts';
import type { Role } from '../role.ts';
import { UnknownOption, unknownKeys } from '../validate-options.ts';

/**
 * `values` that refuse a name which is not declared.
 * @param noun What a value is: `variable`, `fact`.
 * @param role The name of the role that reads it.
 * @param hint What to try where no declared name is like the unknown one.
 * @throws UnknownOption from reading such a name.
 */
export function strict<Values extends Readonly<Record<string, unknown>>>(
  values: Values,
  declared: Readonly<Record<string, unknown>>,
  noun: string,
  role: string,
  hint?: (name: string) => string,
): Values {
  return new Proxy(values, {
    get(target, name, receiver) {
      if (typeof name === 'string' && !(name in target) && !(name in declared) && !PROBED_PROPERTIES.includes(name)) {
        const problems = unknownKeys(noun, `role ${role}`, [name], declared);
        throw new UnknownOption(problems.map((problem) => (hint ? { hint: hint(name), ...problem } : problem)));
      }
      return Reflect.get(target, name, receiver);
    },
  });
}

/** A role's variables. */
export function strictVars(vars: Readonly<Record<string, unknown>>, role: Role): Readonly<Record<string, unknown>> {
  return strict(vars, role.vars.properties, 'variable', role.name);
}
