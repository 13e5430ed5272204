/** What may be a mistake in an inventory without being an error. */
import { resolve } from 'node:path';
import { formatPosition, type Problem } from '../errors.ts';
import type { VarDefinition } from './inventory.ts';
import { type GroupModel, hostNamesOf, type InventoryModel } from './model.ts';
import { readVarsFolder } from './vars-files.ts';

/** A group and a host of one name. A group that holds only that host is harmless. */
export function sharedNames(model: InventoryModel): Problem[] {
  const isHarmless = (group: GroupModel): boolean => {
    const names = hostNamesOf(model, group);
    return names.length === 1 && names[0] === group.name;
  };
  return [...model.groups.values()]
    .filter((group) => model.hosts.has(group.name) && !isHarmless(group))
    .map((group) => ({
      what: `"${group.name}" is a group and a host; a pattern with this name means the host`,
      at: group.at,
      hint: 'give one of them another name',
    }));
}

/**
 * A host that one inventory file gives two ports or two addresses: `node:22` in one group, `node:2222` in another. The
 * last one wins, as in Ansible. Between files it is the usual way to replace a value.
 */
export function contradictions(model: InventoryModel): Problem[] {
  return [...model.hosts.values()].flatMap(({ name, vars }) =>
    Object.entries(ONE_PER_HOST).flatMap(([variable, noun]) => {
      const [winner, ...others] = vars.get(variable) ?? [];
      const other = others.find((each) => each.source === winner?.source && shownValue(each) !== shownValue(winner));
      if (!winner || !other) return [];
      const where = winner.at ? ' here' : '';
      const elsewhere = other.at ? `in ${formatPosition(other.at)}` : `in ${other.source}`;
      return {
        what: `${name} has the ${noun} ${shownValue(winner)}${where} and ${shownValue(other)} ${elsewhere}; the last one wins`,
        at: winner.at,
        hint: `for two machines use two names, each with its own ${variable}`,
      };
    }),
  );
}

const ONE_PER_HOST = { ansible_port: 'port', ansible_host: 'address' };

const shownValue = ({ value }: VarDefinition): string => String(value);

/**
 * `group_vars/` or `host_vars/` in the current folder that belong to no inventory and no playbook: easily overlooked.
 */
export async function unreadVars(folders: readonly string[], model: InventoryModel): Promise<Problem[]> {
  if (folders.length === 0 || folders.some((folder) => resolve(folder) === process.cwd())) return [];
  const hasVars = async (folder: string, names: Iterable<string>): Promise<boolean> => {
    try {
      const found = await readVarsFolder(folder, names, { files: [], warnings: [] });
      return [...found.values()].some((vars) => vars.size > 0);
    } catch {
      return true;
    }
  };
  const unread = [
    ...((await hasVars('group_vars', model.groups.keys())) ? ['group_vars/'] : []),
    ...((await hasVars('host_vars', model.hosts.keys())) ? ['host_vars/'] : []),
  ];
  if (unread.length === 0) return [];
  return [
    {
      what: `${unread.join(' and ')} in this folder ${unread.length > 1 ? 'are' : 'is'} not read`,
      expected: `variables beside the inventory or the playbook: in ${folders.join(', ')}`,
      hint: 'put the inventory here, or the variables there',
    },
  ];
}
