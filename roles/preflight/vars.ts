/** The variables of preflight. */
import type { VarsSchema } from '../../engine/index.ts';
import { clusterVars } from '../cluster/vars.ts';

/** The role's variables. */
export const preflightVars = {
  properties: {
    node_ip: clusterVars.node_ip,
    k3s_cluster_cidr: clusterVars.k3s_cluster_cidr,
    k3s_flannel_backend: clusterVars.k3s_flannel_backend,
    preflight_data_dir: {
      type: 'string',
      description: 'Where k3s keeps its data: this file system is measured.',
      default: '/var/lib/rancher',
    },
    preflight_server_memory_gb: {
      type: 'number',
      minimum: 0,
      default: 4,
      description: 'Memory that a server must have, in GB. Below twice as much is warned about.',
    },
    preflight_server_disk_gb: {
      type: 'number',
      minimum: 0,
      default: 20,
      description: 'Size of the file system with its data that a server must have, in GB. 50 are recommended.',
    },
    preflight_agent_memory_gb: {
      type: 'number',
      minimum: 0,
      default: 1,
      description: 'Memory that an agent must have, in GB. Below twice as much is warned about.',
    },
    preflight_agent_disk_gb: {
      type: 'number',
      minimum: 0,
      default: 10,
      description:
        'Size of the file system with its data that an agent must have, in GB. Below twice as much is warned about.',
    },
    preflight_clock_drift: {
      type: 'number',
      minimum: 0,
      default: 5,
      description: "Seconds by which a node's clock may differ from the controller's and from the other nodes'.",
    },
  },
} as const satisfies VarsSchema;
