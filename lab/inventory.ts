/** The files that let a program (ours, Ansible, ssh) reach a lab's hosts: inventory, key, known hosts, ssh config. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { $ } from './local.ts';
import { directoryOf, directoryOfHost, gatewayAddress, hostAddress, type LabState, vipAddress } from './names.ts';
import { mirrorUrl } from './services.ts';
import type { HostShape } from './shape.ts';

/** Where the files of a lab are. */
export interface AccessFiles {
  /** The inventory, in Ansible's INI form. */
  readonly inventory: string;
  /** The private key that `root` and `admin` accept on every host. */
  readonly key: string;
  /** The hosts' own keys. */
  readonly knownHosts: string;
  /** For `ssh -F`: every host by name. */
  readonly sshConfig: string;
}

/** The access files of the lab called `name`. */
export function accessFiles(name: string): AccessFiles {
  const file = (base: string) => join(directoryOf(name), base);
  return {
    inventory: file('hosts'),
    key: file('ssh_key'),
    knownHosts: file('known_hosts'),
    sshConfig: file('ssh_config'),
  };
}

/** Makes the key that logs in on every host of the lab. */
export async function makeKey(name: string): Promise<void> {
  const { key } = accessFiles(name);
  if (!existsSync(key)) await $`ssh-keygen -q -t ed25519 -N ${''} -C ${`lab ${name}`} -f ${key}`;
}

/** Writes the inventory, the known hosts and the ssh config; the hosts must have their keys. */
export function writeAccess(state: LabState): void {
  const files = accessFiles(state.name);
  const hosts = state.shape.hosts.map((host, index) => ({ host, address: hostAddress(state.number, index) }));
  const knownHosts = hosts.map(({ host, address }) => {
    const root = join(directoryOfHost(state.name, host.name), 'root');
    const [type, key] = readFileSync(join(root, 'etc/ssh/ssh_host_ed25519_key.pub'), 'utf8').split(' ');
    return `${host.ssh_port === 22 ? address : `[${address}]:${host.ssh_port}`} ${type} ${key}\n`;
  });
  writeFileSync(files.knownHosts, knownHosts.join(''));
  const lines = [`# The lab ${state.name}, written by lab/inventory.ts.`];
  lines.push(...hosts.map(({ host, address }) => hostLine(host, address)));
  const groups = [...new Set(hosts.flatMap(({ host }) => host.groups))];
  for (const group of groups) {
    lines.push(
      '',
      `[${group}]`,
      ...hosts.filter(({ host }) => host.groups.includes(group)).map(({ host }) => host.name),
    );
  }
  const members = groups.filter((group) => group === 'server' || group === 'agent');
  if (members.length > 0 && !groups.includes('k3s_cluster')) lines.push('', '[k3s_cluster:children]', ...members);
  const cluster = members.length > 0 || groups.includes('k3s_cluster');
  if (state.shape.k3s && cluster) {
    // Hosts have no registry to pull images from, so they get the archive.
    lines.push('', '[k3s_cluster:vars]', `k3s_mirror=${mirrorUrl(state.number)}`, 'k3s_airgap_images=true');
    lines.push(`kube_vip_address=${vipAddress(state.number)}`);
    // Enough for a lab, and not worth a warning a host.
    lines.push('preflight_server_disk_gb=8');
    // This machine asks the API through the virtual address.
    lines.push(`firewall_admin_networks=["${gatewayAddress(state.number)}/32"]`);
  }
  lines.push('', '[all:vars]', `ansible_ssh_private_key_file=${files.key}`);
  lines.push(`ansible_ssh_common_args='-o UserKnownHostsFile=${files.knownHosts} -o StrictHostKeyChecking=yes'`);
  writeFileSync(files.inventory, `${lines.join('\n')}\n`);
  chmodSync(files.inventory, 0o600); // it has the sudo passwords
  const config = hosts.map(
    ({ host, address }) => `Host ${host.name}\n  HostName ${address}\n  Port ${host.ssh_port}\n`,
  );
  const common = `Host *\n  User root\n  IdentityFile ${files.key}\n  IdentitiesOnly yes\n  UserKnownHostsFile ${files.knownHosts}\n  StrictHostKeyChecking yes\n`;
  writeFileSync(files.sshConfig, [...config, common].join('\n'));
}

function hostLine(host: HostShape, address: string): string {
  const words = [host.name, `ansible_host=${address}`, `ansible_user=${host.user}`];
  if (host.ssh_port !== 22) words.push(`ansible_port=${host.ssh_port}`);
  if (host.user === 'admin') {
    words.push('ansible_become=true');
    if (host.sudo !== 'nopasswd') words.push(`ansible_become_password=${host.sudo_password}`);
  }
  return words.join(' ');
}
