/** Shows an inventory as ansible-inventory does: `npx tsx scripts/inventory.ts -i hosts --graph`. */
import { main } from '../engine/cli/main.ts';
import { helpText, type OptionTable, parseCommandLine } from '../engine/cli/options.ts';
import { ExitCode, UserError } from '../engine/errors.ts';
import { graphOf, hostVars, listOf } from '../engine/inventory/inventory-output.ts';
import { loadInventory } from '../engine/inventory/load.ts';
import { secretNames } from '../engine/vars/secret-names.ts';
import { loadRole, roleNames } from '../roles/load.ts';

const OPTIONS = {
  inventory: { kind: 'list', short: 'i', value: 'PATH', help: 'inventory file, folder or host list; may be repeated' },
  'extra-vars': { kind: 'list', short: 'e', value: 'VARS', help: 'variables that win over all others' },
  limit: { kind: 'text', short: 'l', value: 'PATTERN', help: 'only these hosts (with --list)' },
  list: { kind: 'flag', help: 'groups, hosts and their variables, as JSON' },
  host: { kind: 'text', value: 'NAME', help: 'the variables of one host, as JSON' },
  graph: { kind: 'flag', help: 'groups and their hosts, as a tree' },
  help: { kind: 'flag', short: 'h', help: 'show this' },
} as const satisfies OptionTable;

await main(async () => {
  const { values, words } = parseCommandLine(process.argv.slice(2), OPTIONS);
  if (values.help) {
    const about = 'Shows the hosts, groups and variables of an inventory. Secrets are shown as ***.';
    console.log(helpText('npx tsx scripts/inventory.ts -i INVENTORY --list | --graph | --host NAME', about, OPTIONS));
    return ExitCode.ok;
  }
  const asked = [values.list, values.graph, values.host !== undefined].filter(Boolean).length;
  if (asked !== 1 || values.inventory.length === 0 || words.length > 0) {
    throw new UserError(
      {
        what: values.inventory.length === 0 ? 'no inventory' : 'what to show?',
        expected: '-i INVENTORY and one of --list, --graph, --host NAME',
        hint: 'npx tsx scripts/inventory.ts -i hosts --graph',
      },
      ExitCode.usage,
    );
  }
  const inventory = await loadInventory({ sources: values.inventory, extraVars: values['extra-vars'] });
  if (values.graph) {
    console.log(graphOf(inventory));
    return ExitCode.ok;
  }
  const roles = await Promise.all(roleNames().map(async (name) => (await loadRole(name)).role));
  const secrets = secretNames(roles.map((role) => role.vars));
  if (values.host === undefined) {
    const hosts = inventory.select(values.limit ?? 'all');
    console.log(JSON.stringify(listOf(inventory, hosts, secrets), null, 2));
    return ExitCode.ok;
  }
  const [host, ...others] = inventory.select(values.host);
  if (!host || others.length > 0) throw new UserError({ what: `${values.host} is not one host` }, ExitCode.usage);
  console.log(JSON.stringify(hostVars(host, secrets), null, 2));
  return ExitCode.ok;
});
