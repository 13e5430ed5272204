/**
 * kubeconfig: the cluster's admin kubeconfig, written on the controller: a play for `localhost`, without becoming root.
 */
import { defineRole } from '../../engine/index.ts';
import { vars } from './vars.ts';

/** The role. */
export const kubeconfig = defineRole({
  name: 'kubeconfig',
  description: 'Writes the kubeconfig of the cluster on this machine, mode 0600, with the address that clients use.',
  hosts: 'localhost',
  vars,
  load: () => import('./stages.ts'),
});
