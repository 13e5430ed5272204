/**
 * k3s-verify: checks the finished cluster: every node is ready, and the voters are exactly the servers. Changes
 * nothing.
 */
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
