/** k3s-agent: a node that runs workloads only, on any architecture that k3s has a release for. */
import { defineRole } from '../../engine/index.ts';
import { vars } from './vars.ts';

/** The role. */
export const k3sAgent = defineRole({
  name: 'k3s-agent',
  description: 'Installs k3s as an agent, joins it to the cluster and waits until its node is ready.',
  hosts: 'agent',
  vars,
  tags: ['binary', 'images', 'config', 'start'],
  load: () => import('./stages.ts'),
});
