/** Runs that must fail, and hosts that must be as they were. */
import type { Test } from 'tap';
import type { LabHost } from '../../lab/host.ts';
import type { Ended } from './program.ts';

/**
 * Expects a run to end with an exit code and to print what each pattern says, and nothing on stderr: the program broke off
 * nowhere. Resolves to what it printed.
 */
export async function fails(t: Test, ended: Promise<Ended>, code: number, ...says: RegExp[]): Promise<string> {
  const { code: got, stdout, stderr } = await ended;
  t.equal(got, code, stderr || stdout);
  for (const words of says) t.match(stdout, words);
  t.equal(stderr, '');
  return stdout;
}

/**
 * Where a run may change something. Of k3s's data the first level only, and of the rules those that are not k3s's own,
 * since k3s goes on.
 */
const PLACES = '/etc /usr/local /opt /srv /root /home /var/lib/heartwood /var/lib/dpkg /var/lib/apt /run/heartwood*';
const DATA = '/var/lib/rancher /var/lib/rancher/k3s /var/lib/rancher/k3s/agent/images /var/lib/kubelet';
const PRINTED = '-printf "%p %M %u %l\\n"';

/**
 * Everything that a run may change on a host, in words: files with their content (an enabled unit is a link in /etc), running
 * services, rules of the firewall, addresses.
 */
export async function stateOf(host: LabHost): Promise<string> {
  // Debian's sudo makes it, at its first use.
  await host.read('[ ! -d /home/admin ] || touch /home/admin/.sudo_as_admin_successful');
  return host.read(`{
find ${PLACES} -xdev \\( -type f -exec sha256sum {} + \\) -o ${PRINTED}
find ${DATA} -maxdepth 1 ${PRINTED}
} 2>/dev/null | sort
systemctl is-active ufw k3s k3s-agent
iptables -S | grep -v -e KUBE- -e CNI- -e FLANNEL-
ip -br address | grep -v -e '^veth' -e '^cni' -e '^flannel'`);
}

/** Does something that must leave hosts as they are, and compares. */
export async function leavesAlone<T>(t: Test, hosts: readonly LabHost[], work: () => Promise<T>): Promise<T> {
  const before = await Promise.all(hosts.map(stateOf));
  const result = await work();
  const after = await Promise.all(hosts.map(stateOf));
  for (const [i, { name }] of hosts.entries()) t.equal(after[i], before[i], `${name} is as it was`);
  return result;
}
