/** A role's variables as the role itself gets them. */
import { MisspeltOption, misspelt } from '../misspelt.ts';
import type { Role } from '../role.ts';

/** What a language or a promise may ask any object for. */
const ASKED_OF_ALL = ['then', 'toJSON'];

/**
 * A role's variables, of which it must declare each that it reads: one that is misspelt in the role would be "undefined" in what
 * it writes.
 * @throws MisspeltOption from such a reading.
 */
export function strict(vars: Readonly<Record<string, unknown>>, role: Role): Readonly<Record<string, unknown>> {
  const declared = role.vars.properties;
  return new Proxy(vars, {
    get(target, name, receiver) {
      if (typeof name === 'string' && !(name in target) && !(name in declared) && !ASKED_OF_ALL.includes(name)) {
        throw new MisspeltOption(misspelt(`the role ${role.name} reads a variable`, [name], declared));
      }
      return Reflect.get(target, name, receiver);
    },
  });
}
