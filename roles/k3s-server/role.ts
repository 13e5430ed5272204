/** k3s-server: a server of a highly available k3s with embedded etcd, from an empty host to a voter. */
import { defineRole } from '../../engine/index.ts';
import { vars } from './vars.ts';

/** The role. */
export const k3sServer = defineRole({
  name: 'k3s-server',
  description: 'Installs k3s as a server with embedded etcd: begins the cluster or joins it, and waits until it votes.',
  hosts: 'server',
  vars,
  tags: ['binary', 'images', 'config', 'start'],
  load: () => import('./stages.ts'),
});
