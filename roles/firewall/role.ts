/**
 * `firewall`: ufw on every host, with exactly those ports open that the cluster needs between its nodes, verified by
 * packets. See README.md.
 */
import { defineRole } from '../../engine/index.ts';
import { firewallVars } from './vars.ts';

/** The role. */
export const firewall = defineRole({
  name: 'firewall',
  description:
    'Turns ufw on with exactly those ports open that the nodes need between them, and proves it with packets.',
  hosts: 'k3s_cluster',
  vars: firewallVars,
  tags: ['rules', 'verify'],
  load: () => import('./stages.ts'),
});
