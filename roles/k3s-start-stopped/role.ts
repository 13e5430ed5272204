/**
 * k3s-start-stopped: starts the stopped servers that are members of the cluster, all at once and without waiting. After
 * a power failure no server gets ready before a majority runs: starting them one by one, waiting for each, would never
 * end.
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
