/** Variables and facts as roles get them: reading one that is misspelt would be "undefined" in what the role writes. */

import type { Role } from '../role.ts';
import { UnknownOption, unknownKeys } from '../validate-options.ts';

/** What a language or a promise may ask any object for. */
const ASKED_OF_ALL = ['then', 'toJSON'];

/**
 * Values of which only those may be read that are declared.
 * @param noun What is read: `variable`, `fact`.
 * @param role The name of the role that reads it.
 * @throws UnknownOption from another reading.
 */
export function strict<Values extends Readonly<Record<string, unknown>>>(
  values: Values,
  declared: Readonly<Record<string, unknown>>,
  noun: string,
  role: string,
): Values {
  return new Proxy(values, {
    get(target, name, receiver) {
      if (typeof name === 'string' && !(name in target) && !(name in declared) && !ASKED_OF_ALL.includes(name)) {
        throw new UnknownOption(unknownKeys(noun, `role ${role}`, [name], declared));
      }
      return Reflect.get(target, name, receiver);
    },
  });
}

/** A role's variables. */
export function strictVars(vars: Readonly<Record<string, unknown>>, role: Role): Readonly<Record<string, unknown>> {
  return strict(vars, role.vars.properties, 'variable', role.name);
}
