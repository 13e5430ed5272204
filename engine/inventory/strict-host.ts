/** What {@link StrictHost} is about: `host.adress` in a role would be "undefined" in what the role writes. */
import type { HostView } from '../host-view.ts';
import { UnknownOption, unknownKeys } from '../validate-options.ts';

/** Properties that the language, or a library, looks for in any object: `await`, JSON.stringify. */
export const PROBED_PROPERTIES: readonly string[] = ['then', 'toJSON'];

const PROPERTIES: Readonly<Record<keyof HostView, true>> = {
  name: true,
  address: true,
  port: true,
  groups: true,
  var: true,
};

/** The end of a host's prototype chain: a property that gets here is one that a host does not have. */
const NOTHING_ELSE = new Proxy(Object.create(null), {
  get(_, name) {
    if (typeof name !== 'string' || name in Object.prototype) return Reflect.get(Object.prototype, name);
    if (PROBED_PROPERTIES.includes(name)) return undefined;
    throw new UnknownOption(unknownKeys('property', 'a host', [name], PROPERTIES));
  },
});

/**
 * A base class whose objects refuse a property that they do not have. Roles run without being type-checked.
 * @throws UnknownOption from reading such a property.
 */
export class StrictHost {}
Object.setPrototypeOf(StrictHost.prototype, NOTHING_ELSE);
