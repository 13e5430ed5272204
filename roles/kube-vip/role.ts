/** kube-vip: an address for the API that is always on one of the servers. */
import { defineRole } from '../../engine/index.ts';
import { vars } from './vars.ts';

/** The role. */
export const kubeVip = defineRole({
  name: 'kube-vip',
  description: 'Gives the API a virtual address that moves to another server when the one that has it is lost.',
  hosts: 'server',
  vars,
  tags: ['vip'],
  load: () => import('./stages.ts'),
});
