/**
 * k3s-start-stopped: starts the servers that are members of the cluster already and are stopped, all at once and without waiting. After
 * a loss of power no server gets ready before a majority runs, so to start them one after the other, waiting for each, would
 * wait for ever.
 */
import { defineRole } from '../../engine/index.ts';

/** The role. */
export const k3sStartStopped = defineRole({
  name: 'k3s-start-stopped',
  description: 'Starts servers that are members already and stopped, together, without waiting for them.',
  hosts: 'server',
  vars: { properties: {} },
  tags: ['start'],
  load: () => import('./stages.ts'),
});
