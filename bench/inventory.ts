/** The same hosts in each tool's format: Ansible's INI, ssh's config, pyinfra's Python. */
import type { Access, Target } from './access.ts';

/** Ansible's INI format, which Heartwood reads too. */
export function iniInventory({ targets, user, key, knownHosts }: Access): string {
  return [
    '[bench]',
    ...targets.map(({ name, address, port }) => `${name} ansible_host=${address} ansible_port=${port}`),
    '',
    '[all:vars]',
    `ansible_user=${user}`,
    `ansible_ssh_private_key_file=${key}`,
    `ansible_ssh_common_args='-o UserKnownHostsFile=${knownHosts} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes'`,
    // Otherwise Ansible asks every host where its Python is.
    'ansible_python_interpreter=/usr/bin/python3',
    '',
  ].join('\n');
}

/** For `ssh -F`. */
export function sshConfig({ targets, user, key, knownHosts }: Access): string {
  return [
    ...targets.map(({ name, address, port }) => `Host ${name}\n  HostName ${address}\n  Port ${port}\n`),
    `Host *\n  User ${user}\n  IdentityFile ${key}\n  IdentitiesOnly yes`,
    `  UserKnownHostsFile ${knownHosts}\n  StrictHostKeyChecking yes\n`,
  ].join('\n');
}

/** A Python file with pyinfra's list of hosts. */
export function pyinfraInventory(access: Access): string {
  const { user, key, knownHosts } = access;
  const common = {
    ssh_user: user,
    ssh_key: key,
    ssh_known_hosts_file: knownHosts,
    ssh_strict_host_key_checking: 'yes',
  };
  const host = ({ name, address, port }: Target) =>
    `    (${JSON.stringify(name)}, {"ssh_hostname": ${JSON.stringify(address)}, "ssh_port": ${port}, **common}),`;
  return `common = ${JSON.stringify(common)}\nbench = [\n${access.targets.map(host).join('\n')}\n]\n`;
}

/** A large inventory: 40 groups of equal size below one parent, each with a variable. */
export interface LargeInventory {
  readonly groups: readonly { readonly name: string; readonly hosts: readonly string[] }[];
}

/** An inventory of `hosts` hosts. */
export function largeInventory(hosts: number): LargeInventory {
  const size = Math.ceil(hosts / 40);
  const names = Array.from({ length: hosts }, (_, i) => `host-${i + 1}`);
  return {
    groups: Array.from({ length: Math.ceil(hosts / size) }, (_, i) => ({
      name: `rack_${i + 1}`,
      hosts: names.slice(i * size, (i + 1) * size),
    })),
  };
}

/** A large inventory in Ansible's INI format: each host with an address, each group with a variable. */
export function largeIni({ groups }: LargeInventory): string {
  let n = 0;
  return [
    ...groups.flatMap(({ name, hosts }, i) => [
      `[${name}]`,
      ...hosts.map((host) => `${host} ansible_host=${addressOf(n++)}`),
      '',
      `[${name}:vars]`,
      `rack=${i + 1}`,
      '',
    ]),
    '[bench:children]',
    ...groups.map(({ name }) => name),
    '',
  ].join('\n');
}

/** A large inventory for pyinfra. */
export function largePyinfra({ groups }: LargeInventory): string {
  let n = 0;
  return groups
    .map(
      ({ name, hosts }, i) =>
        `${name} = ([\n${hosts.map((host) => `    ("${host}", {"ssh_hostname": "${addressOf(n++)}"}),`).join('\n')}\n], {"rack": ${i + 1}})\n`,
    )
    .join('\n');
}

function addressOf(n: number): string {
  return `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;
}
