/** k3s-verify: the cluster as it should be at the end: every node ready, every server a voter and nobody else. Changes nothing. */
import { defineRole } from '../../engine/index.ts';
import { vars } from './vars.ts';

/** The role. */
export const k3sVerify = defineRole({
  name: 'k3s-verify',
  description: 'Verifies that every node is ready and that the voters of etcd are the servers.',
  hosts: 'server',
  vars,
  tags: ['verify'],
  load: () => import('./stages.ts'),
});
