/** An inventory as output: ansible-inventory's `--list` and `--graph`, and where a value comes from. */
import { padEnd, widthOf } from '../columns.ts';
import { formatPosition, UserError } from '../errors.ts';
import { MASK, mask, maskData, Secret } from '../secret.ts';
import type { Inventory, InventoryHost, VarDefinition } from './inventory.ts';
import { isVaultText, UnsafeText, VaultValue } from './yaml-tags.ts';

/** A host's variables by name. A secret is `***`; a value that cannot be read is the reason, in `<>`. */
export function hostVars(host: InventoryHost, secrets: ReadonlySet<string>): Readonly<Record<string, unknown>> {
  registerSecrets(host, secrets);
  return Object.fromEntries(host.variableNames().map((name) => [name, shownValue(host, name, secrets)]));
}

/** Makes the values of secret variables known to `mask`, since other values may contain them. */
function registerSecrets(host: InventoryHost, secrets: ReadonlySet<string>): void {
  for (const name of secrets) {
    if (host.definitions(name).length === 0) continue;
    try {
      const value = host.var(name);
      if (typeof value === 'string') new Secret(value);
    } catch (error) {
      // A value that cannot be read is not shown.
      if (!(error instanceof UserError)) throw error;
    }
  }
}

function shownValue(host: InventoryHost, name: string, secrets: ReadonlySet<string>): unknown {
  if (secrets.has(name)) return MASK;
  try {
    return maskData(host.var(name));
  } catch (error) {
    if (error instanceof UserError) return `<${error.problems.map(({ what }) => what).join('; ')}>`;
    throw error;
  }
}

/** What `ansible-inventory --list` prints, as data. */
export function listOf(
  inventory: Inventory,
  hosts: readonly InventoryHost[],
  secrets: ReadonlySet<string>,
): Readonly<Record<string, unknown>> {
  const own = ownHosts(inventory);
  const groups = [...inventory.groups.keys()].flatMap((name) => {
    const children = childrenOf(inventory, name);
    const names = (own.get(name) ?? []).filter((host) => hosts.includes(host)).map((host) => host.name);
    const group = { ...(names.length > 0 && { hosts: names }), ...(children.length > 0 && { children }) };
    return Object.keys(group).length > 0 ? [[name, group] as const] : [];
  });
  const hostvars = Object.fromEntries(hosts.map((host) => [host.name, hostVars(host, secrets)]));
  return { _meta: { hostvars }, ...Object.fromEntries(groups) };
}

/** What `ansible-inventory --graph` prints. */
export function graphOf(inventory: Inventory): string {
  const own = ownHosts(inventory);
  const draw = (name: string, depth: number): string[] => {
    const indent = '  |'.repeat(depth);
    const below = `${indent}  |--`;
    return [
      depth === 0 ? `@${name}:` : `${indent}--@${name}:`,
      ...childrenOf(inventory, name).flatMap((child) => draw(child, depth + 1)),
      ...(own.get(name) ?? []).map((host) => below + host.name),
    ];
  };
  return draw('all', 0).join('\n');
}

function childrenOf(inventory: Inventory, name: string): readonly string[] {
  return inventory.children.get(name) ?? [];
}

/** The hosts of each group that are in none of its children. */
function ownHosts(inventory: Inventory): ReadonlyMap<string, readonly InventoryHost[]> {
  const own = [...inventory.groups].map(([name, hosts]) => {
    const inChildren = new Set(childrenOf(inventory, name).flatMap((child) => inventory.groups.get(child) ?? []));
    return [name, hosts.filter((host) => !inChildren.has(host))] as const;
  });
  return new Map(own);
}

/**
 * Every place that sets a variable of a host, strongest first, as lines. Empty when there is none.
 * @param defaults Those of the roles, which are weaker than all others.
 */
export function whyLines(
  host: InventoryHost,
  name: string,
  defaults: readonly VarDefinition[],
  secrets: ReadonlySet<string>,
): readonly string[] {
  registerSecrets(host, secrets);
  const definitions = [...host.definitions(name), ...defaults];
  const rows = definitions.map((definition) => ({
    source: definition.at ? formatPosition(definition.at) : definition.source,
    value: secrets.has(name) ? MASK : asWritten(definition),
  }));
  const width = Math.max(0, ...rows.map(({ source }) => widthOf(source)));
  const lines = rows.map(({ source, value }, i) => `${i === 0 ? '*' : ' '} ${padEnd(source, width)}  ${value}`);
  const [strongest] = definitions;
  if (strongest === undefined) return [];
  const resolved = host.definitions(name).length > 0 ? shownValue(host, name, secrets) : strongest.value;
  const shown = secrets.has(name) ? MASK : mask(JSON.stringify(resolved) ?? String(resolved));
  return [`${name} of ${host.name} is ${shown}`, ...lines];
}

function asWritten({ value, text }: VarDefinition): string {
  if (value instanceof VaultValue || (typeof value === 'string' && isVaultText(value))) return '!vault';
  if (value instanceof UnsafeText) return `!unsafe ${JSON.stringify(value.text)}`;
  return mask(text ?? JSON.stringify(value) ?? String(value));
}
