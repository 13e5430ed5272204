/** What may be a mistake in an inventory without being an error. */
import { resolve } from 'node:path';
import { formatPosition, type Problem, UserError } from '../errors.ts';
import type { InventoryHost, VarDefinition } from './inventory.ts';
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
 * Names that lead to one machine: to one address and port by the same route, or to this machine. Tasks of both names
 * would change it at the same time.
 */
export function duplicateMachines(hosts: readonly InventoryHost[]): Problem[] {
  const byMachine = new Map<string, InventoryHost[]>();
  for (const host of hosts) {
    const machine = machineOf(host);
    if (machine === undefined) continue;
    const names = byMachine.get(machine);
    if (names) names.push(host);
    else byMachine.set(machine, [host]);
  }
  return [...byMachine.values()]
    .filter(([, second]) => second !== undefined)
    .map((same) => ({
      what: `${listed(same)} are ${same.length === 2 ? 'both' : 'all'} ${shownMachine(same)}`,
      at: same[1]?.at,
      hint: 'name a machine once; a host can be in several groups',
    }));
}

/** An address behind a jump host of its own is another machine. Undefined where a variable cannot be read. */
function machineOf(host: InventoryHost): string | undefined {
  try {
    if (isLocal(host)) return 'local';
    const route = [host.var('ansible_ssh_common_args'), host.var('ansible_ssh_extra_args')];
    return JSON.stringify([host.address.toLowerCase(), host.port, ...route]);
  } catch (error) {
    // Said where the host is connected to.
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

function isLocal(host: InventoryHost): boolean {
  return /^(ansible\.builtin\.)?local$/.test(String(host.var('ansible_connection')));
}

function shownMachine([host]: readonly InventoryHost[]): string {
  if (!host || isLocal(host)) return 'this machine (ansible_connection=local)';
  return host.address.includes(':') ? `[${host.address}]:${host.port}` : `${host.address}:${host.port}`;
}

const MOST_LISTED = 4;

/** `a and b`, `a, b and c`, `a, b, c and 7 more`. */
function listed(hosts: readonly InventoryHost[]): string {
  const names = hosts.map(({ name }) => name);
  if (names.length <= MOST_LISTED) return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
  return `${names.slice(0, MOST_LISTED - 1).join(', ')} and ${names.length - MOST_LISTED + 1} more`;
}

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
