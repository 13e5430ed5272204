/** The firewall's variables. */
import type { VarsSchema } from '../../engine/index.ts';
import { clusterVars } from '../cluster/vars.ts';

/** Networks that people or programs outside the cluster come from. */
const networks = (description: string, examples: readonly unknown[]) =>
  ({
    type: 'array',
    items: { type: 'string', format: 'cidr', description: 'A network, or an address with /32.' },
    uniqueItems: true,
    default: [],
    description,
    examples,
  }) as const;

/** The role's variables. */
export const firewallVars = {
  properties: {
    node_ip: clusterVars.node_ip,
    k3s_cluster_cidr: clusterVars.k3s_cluster_cidr,
    k3s_flannel_backend: clusterVars.k3s_flannel_backend,
    kube_vip_address: clusterVars.kube_vip_address,
    firewall_admin_networks: networks(
      'Where people administer from: SSH on every host and the Kubernetes API on the servers, the virtual address included. ' +
        'The host that runs the playbook, and the network it shares with the host, reach SSH without being named here.',
      [['192.168.2.0/24', '203.0.113.7/32']],
    ),
    firewall_client_networks: networks(
      'Who uses what runs in the cluster: ports 80 and 443 and the NodePorts (30000-32767) on every node. 0.0.0.0/0 for a ' +
        'public service.',
      [['192.168.2.0/24']],
    ),
    firewall_monitoring_networks: networks(
      'Where Prometheus outside the cluster asks from: metrics of etcd (2381), kube-vip (2112) and the kubelets (10250).',
      [['192.168.2.40/32']],
    ),
    firewall_rules: {
      type: 'array',
      default: [],
      description: 'Further ports to open, for whatever else runs on these hosts.',
      examples: [[{ name: 'DNS', port: '53', proto: 'udp', from: '192.168.2.0/24' }]],
      items: {
        type: 'object',
        description: 'One port, or a range, for one network.',
        properties: {
          name: { type: 'string', description: 'What it is for; ufw shows it beside the rule.', pattern: "^[^']+$" },
          port: { type: 'string', format: 'port-range', description: 'A port or a range: 53, 8000:8010.' },
          proto: { type: 'string', enum: ['tcp', 'udp'], description: 'The protocol.' },
          from: { type: 'string', format: 'cidr', description: 'The network that may use it.' },
        },
        required: ['name', 'port', 'proto', 'from'],
        additionalProperties: false,
      },
    },
  },
} as const satisfies VarsSchema;
