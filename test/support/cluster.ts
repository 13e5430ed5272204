/** What a k3s cluster on a lab's hosts says of itself. */
import type { LabHost } from '../../lab/host.ts';

/** The output of `kubectl WORDS`, asked of one server on itself; throws with what it printed when it fails. */
export function kubectl(server: LabHost, words: string): Promise<string> {
  return server.read(`k3s kubectl ${words}`);
}

/** A member of etcd, as the member list of one server has it. */
export interface Member {
  /** The node's name and eight hexadecimal digits; empty for one that has not started yet. */
  readonly name: string;
  readonly isLearner: boolean;
}

/** etcd's own member list, asked of one server on itself; the status of nodes goes stale. */
export async function members(server: LabHost): Promise<readonly Member[]> {
  const tls = '/var/lib/rancher/k3s/server/tls/etcd';
  const list = await server.read(
    `curl -sS -m 10 --cacert ${tls}/server-ca.crt --cert ${tls}/client.crt --key ${tls}/client.key -X POST -d '{}' https://127.0.0.1:2382/v3/cluster/member/list`,
  );
  const parsed = JSON.parse(list) as { members: { name?: string; isLearner?: boolean }[] };
  return parsed.members.map(({ name = '', isLearner = false }) => ({ name, isLearner }));
}

/** The nodes that etcd has as voters, by name, in order. */
export async function voters(server: LabHost): Promise<readonly string[]> {
  return (await members(server))
    .flatMap(({ name, isLearner }) => (name !== '' && !isLearner ? [name.replace(/-[0-9a-f]{8}$/, '')] : []))
    .sort();
}

/** The nodes that are Ready, by name, in order. */
export async function readyNodes(server: LabHost): Promise<readonly string[]> {
  const nodes = JSON.parse(await kubectl(server, 'get nodes -o json')) as {
    items: { metadata: { name: string }; status: { conditions: { type: string; status: string }[] } }[];
  };
  return nodes.items
    .filter(({ status }) => status.conditions.some(({ type, status }) => type === 'Ready' && status === 'True'))
    .map(({ metadata }) => metadata.name)
    .sort();
}

/** The hosts that have an address on an interface; those that are off don't. */
export async function holders(hosts: readonly LabHost[], address: string): Promise<readonly string[]> {
  const found = await Promise.all(
    hosts.map(async (host) => {
      const { stdout } = host.power === 'on' ? await host.exec('ip -br address') : { stdout: '' };
      return stdout.includes(`${address}/`) ? [host.name] : [];
    }),
  );
  return found.flat();
}
