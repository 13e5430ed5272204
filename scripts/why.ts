/** Shows every place that sets a variable: `npx tsx scripts/why.ts k3s_version node-1 -i hosts`. */
import { main } from '../engine/cli/main.ts';
import { helpText, type OptionTable, parseCommandLine } from '../engine/cli/options.ts';
import { didYouMean, ExitCode, UserError } from '../engine/errors.ts';
import type { Inventory, InventoryHost, VarDefinition } from '../engine/inventory/inventory.ts';
import { whyLines } from '../engine/inventory/inventory-output.ts';
import { loadInventory } from '../engine/inventory/load.ts';
import type { Role } from '../engine/role.ts';
import { secretNames } from '../engine/vars/secret-names.ts';
import { loadRole, roleNames } from '../roles/load.ts';

const OPTIONS = {
  inventory: { kind: 'list', short: 'i', value: 'PATH', help: 'inventory file, folder or host list; may be repeated' },
  'extra-vars': { kind: 'list', short: 'e', value: 'VARS', help: 'variables that win over all others' },
  help: { kind: 'flag', short: 'h', help: 'show this' },
} as const satisfies OptionTable;

/** The hosts of a role's own pattern; none where the inventory has no such group. */
function hostsOf({ hosts }: Role, inventory: Inventory): readonly InventoryHost[] {
  try {
    return inventory.select(hosts);
  } catch {
    return [];
  }
}

/** The defaults of a variable for a host: first those of the roles that are for it. */
function defaultsOf(
  name: string,
  roles: readonly Role[],
  inventory: Inventory,
): (host: InventoryHost) => readonly VarDefinition[] {
  const rolesWithDefault = roles.flatMap((role) => {
    const value = role.vars.properties[name]?.default;
    return value === undefined ? [] : [{ role, value, hosts: new Set(hostsOf(role, inventory)) }];
  });
  return (host) =>
    [...rolesWithDefault]
      .sort((a, b) => Number(b.hosts.has(host)) - Number(a.hosts.has(host)))
      .map(({ role, value, hosts }) => ({
        value,
        at: undefined,
        source: `default of role ${role.name}${hosts.has(host) ? '' : `, which is for ${role.hosts}`}`,
      }));
}

await main(async () => {
  const { values, words } = parseCommandLine(process.argv.slice(2), OPTIONS);
  const usage = 'npx tsx scripts/why.ts VARIABLE HOSTS -i INVENTORY';
  if (values.help) {
    const about =
      'Shows every place that sets a variable for a host, strongest first. Plays and role calls are not shown; their\n' +
      'variables win over the inventory and lose to -e. Secrets are shown as ***.';
    console.log(helpText(usage, about, OPTIONS));
    return ExitCode.ok;
  }
  const [name, pattern, ...more] = words;
  if (name === undefined || pattern === undefined || more.length > 0 || values.inventory.length === 0) {
    throw new UserError(
      { what: 'which variable, of which host, in which inventory?', expected: usage },
      ExitCode.usage,
    );
  }
  const inventory = await loadInventory({ sources: values.inventory, extraVars: values['extra-vars'] });
  const roles = await Promise.all(roleNames().map(async (role) => (await loadRole(role)).role));
  const secrets = secretNames(roles.map((role) => role.vars));
  const defaults = defaultsOf(name, roles, inventory);
  const answers = inventory.select(pattern).map((host) => whyLines(host, name, defaults(host), secrets));
  const found = answers.filter((lines) => lines.length > 0);
  if (found.length === 0) {
    const declared = roles.flatMap((role) => Object.keys(role.vars.properties));
    const known = [...inventory.select(pattern).flatMap((host) => host.variableNames()), ...declared];
    const near = didYouMean(
      name,
      known.filter((each) => each !== name),
    );
    throw new UserError({
      what: `${name} is set nowhere for ${pattern}`,
      hint: near && `did you mean "${near}"?`,
    });
  }
  console.log(found.map((lines) => lines.join('\n')).join('\n\n'));
  return ExitCode.ok;
});
