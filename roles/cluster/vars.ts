/**
 * Variables that more than one role reads. A role spreads those it needs into its own schema
 * (`properties: { ...clusterVars, k3s_version: ... }`), so that each has one description and one default.
 */
import type { VarsSchema } from '../../engine/index.ts';

/** The cluster's own variables. */
export const clusterVars = {
  node_ip: {
    type: 'string',
    format: 'ipv4',
    description:
      'The address of this host that the other nodes use: for etcd, the API and the pod network. Default: `ansible_host`, ' +
      'where the host has that address; else the address of the interface of the default route. Set it where neither is ' +
      'the one, for example where you connect by a VPN.',
    examples: ['192.168.2.11'],
  },
  k3s_cluster_cidr: {
    type: 'string',
    format: 'cidr',
    description: 'The network that pods get their addresses from. It cannot be changed once the cluster is there.',
    default: '10.42.0.0/16',
  },
  k3s_service_cidr: {
    type: 'string',
    format: 'cidr',
    description: 'The network that services get their addresses from. It cannot be changed once the cluster is there.',
    default: '10.43.0.0/16',
  },
  k3s_flannel_backend: {
    type: 'string',
    enum: ['vxlan', 'wireguard-native', 'host-gw', 'none'],
    description:
      'How packets of pods travel between nodes: `vxlan` (8472/udp), `wireguard-native` (encrypted, 51820/udp), `host-gw` ' +
      '(plain routes; all nodes on one network), or `none` when the cluster gets a network plugin of its own.',
    default: 'vxlan',
  },
  kube_vip_address: {
    type: 'string',
    format: 'ipv4',
    description:
      'The virtual address of the API: it is always on one of the servers, and moves when that one is lost. Unset: the ' +
      'cluster has none.',
    examples: ['192.168.2.100'],
  },
} as const satisfies VarsSchema['properties'];
