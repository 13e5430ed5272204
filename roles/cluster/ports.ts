/**
 * Which node may reach which port, as data. The firewall's rules, their verification and the check before a join are
 * made from it. Sources: docs.k3s.io, "Inbound Rules for K3s Nodes"; kube-vip.io.
 */
import type { NodeKind } from './groups.ts';

/** Who sends: nodes of a kind or any node, pods, or people's networks, which the firewall's variables name. */
export type Sender = NodeKind | 'node' | 'pods' | 'admins' | 'clients' | 'monitoring';

/** What decides whether a row applies. */
export interface ClusterShape {
  readonly flannelBackend: string;
}

/** One row: `from` may reach these ports of `to`. */
export interface PortRow {
  /** What it is for; stands in rule comments. */
  readonly name: string;
  /** A port or a range `first:last`; undefined: every port of every protocol. */
  readonly ports: string | undefined;
  readonly proto: 'tcp' | 'udp' | undefined;
  readonly from: Sender;
  readonly to: NodeKind | 'node';
  /** Absent: always. */
  readonly when?: (shape: ClusterShape) => boolean;
}

/** The API server, which servers and agents join through and kubectl talks to. */
export const API_PORT = 6443;
/** etcd's clients (2379) and its peers (2380). */
export const ETCD_PORTS: readonly [number, number] = [2379, 2380];

const vxlan = ({ flannelBackend }: ClusterShape): boolean => flannelBackend === 'vxlan';
const wireguard = ({ flannelBackend }: ClusterShape): boolean => flannelBackend === 'wireguard-native';

/** The table. SSH is not in it: it concerns the controller, not the cluster (roles/firewall/ssh.ts). */
export const PORTS: readonly PortRow[] = [
  { name: 'Kubernetes API', ports: `${API_PORT}`, proto: 'tcp', from: 'node', to: 'server' },
  { name: 'etcd', ports: ETCD_PORTS.join(':'), proto: 'tcp', from: 'server', to: 'server' },
  { name: 'flannel VXLAN', ports: '8472', proto: 'udp', from: 'node', to: 'node', when: vxlan },
  { name: 'flannel WireGuard', ports: '51820', proto: 'udp', from: 'node', to: 'node', when: wireguard },
  { name: 'kubelet', ports: '10250', proto: 'tcp', from: 'node', to: 'node' },
  { name: 'pods', ports: undefined, proto: undefined, from: 'pods', to: 'node' },
  { name: 'Kubernetes API', ports: `${API_PORT}`, proto: 'tcp', from: 'admins', to: 'server' },
  { name: 'etcd metrics', ports: '2381', proto: 'tcp', from: 'monitoring', to: 'server' },
  { name: 'kube-vip metrics', ports: '2112', proto: 'tcp', from: 'monitoring', to: 'server' },
  { name: 'kubelet metrics', ports: '10250', proto: 'tcp', from: 'monitoring', to: 'node' },
  { name: 'HTTP', ports: '80', proto: 'tcp', from: 'clients', to: 'node' },
  { name: 'HTTPS', ports: '443', proto: 'tcp', from: 'clients', to: 'node' },
  { name: 'NodePorts', ports: '30000:32767', proto: 'tcp', from: 'clients', to: 'node' },
  { name: 'NodePorts', ports: '30000:32767', proto: 'udp', from: 'clients', to: 'node' },
];

/** Rows that let something reach a node of this kind. */
export function rowsTo(kind: NodeKind, shape: ClusterShape): readonly PortRow[] {
  return PORTS.filter(({ to, when }) => (to === 'node' || to === kind) && (when?.(shape) ?? true));
}

/** Does the row's sender include nodes of this kind? `node` stands for what every node may do. */
export function sendsAs(kind: NodeKind | 'node', from: Sender): boolean {
  return from === 'node' || from === kind;
}

/** Every port of a row, one by one: what can be tried. Not for rows of every port. */
export function portsOf({ ports }: PortRow): readonly number[] {
  const [first = 0, last = first] = (ports ?? '').split(':').map(Number);
  return ports === undefined ? [] : Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
