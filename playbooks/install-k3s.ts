/**
 * Makes a highly available k3s cluster of bare machines, and brings a running one to the settings in group_vars. Run it
 * as often as you like.
 *
 * npx tsx playbooks/install-k3s.ts -i hosts [--check --diff] [--limit node-2] [--tags firewall]
 */
import { play, playbook } from '../engine/index.ts';
import { firewall } from '../roles/firewall/role.ts';
import { k3sAgent } from '../roles/k3s-agent/role.ts';
import { k3sServer } from '../roles/k3s-server/role.ts';
import { k3sStartStopped } from '../roles/k3s-start-stopped/role.ts';
import { k3sVerify } from '../roles/k3s-verify/role.ts';
import { kubeVip } from '../roles/kube-vip/role.ts';
import { kubeconfig } from '../roles/kubeconfig/role.ts';
import { preflight } from '../roles/preflight/role.ts';

await playbook('Install k3s', [
  play({ name: 'Every node', hosts: 'k3s_cluster', roles: [preflight(), firewall()], tags: ['prepare'] }),
  play({ name: 'Servers that are members already', hosts: 'server', roles: [k3sStartStopped()] }),
  play({ name: 'First server', hosts: 'server[0]', roles: [k3sServer()] }),
  play({ name: 'Other servers, one at a time', hosts: 'server[1:]', optional: true, serial: 1, roles: [k3sServer()] }),
  play({ name: 'An address for the API', hosts: 'server', roles: [kubeVip()] }),
  play({ name: 'Agents', hosts: 'agent', optional: true, roles: [k3sAgent()] }),
  play({ name: 'The whole cluster', hosts: 'server', roles: [k3sVerify()] }),
  play({ name: 'A kubeconfig for you', hosts: 'localhost', roles: [kubeconfig()], become: false }),
]);
