/** `preflight`: checks the machines before anything is changed on any of them. See README.md. */
import { defineRole } from '../../engine/index.ts';
import { preflightVars } from './vars.ts';

/** The role. */
export const preflight = defineRole({
  name: 'preflight',
  description: 'Checks on every host, before anything is changed on any, what k3s needs of it.',
  hosts: 'k3s_cluster',
  vars: preflightVars,
  load: () => import('./stages.ts'),
});
