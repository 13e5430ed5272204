/** Variables and facts as roles get them: reading one that is misspelt would be "undefined" in what the role writes. */
import { MisspeltOption, misspelt } from '../check-options.ts';
import type { Role } from '../role.ts';

/** What a language or a promise may ask any object for. */
const ASKED_OF_ALL = ['then', 'toJSON'];

/**
 * Values of which only those may be read that are declared.
 * @param subject Who reads what: `the role motd reads a variable`.
 * @throws MisspeltOption from another reading.
 */
export function strict<Values extends Readonly<Record<string, unknown>>>(
  values: Values,
  declared: Readonly<Record<string, unknown>>,
  subject: string,
): Values {
  return new Proxy(values, {
    get(target, name, receiver) {
      if (typeof name === 'string' && !(name in target) && !(name in declared) && !ASKED_OF_ALL.includes(name)) {
        throw new MisspeltOption(misspelt(subject, [name], declared));
      }
      return Reflect.get(target, name, receiver);
    },
  });
}

/** A role's variables. */
export function strictVars(vars: Readonly<Record<string, unknown>>, role: Role): Readonly<Record<string, unknown>> {
  return strict(vars, role.vars.properties, `the role ${role.name} reads a variable`);
}
