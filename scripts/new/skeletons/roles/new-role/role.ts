/** new-role: what it configures, in one sentence. */
import { defineRole } from '../../../../../engine/index.ts';
import { vars } from './vars.ts';

/** The role. */
export const newRole = defineRole({
  name: 'new-role',
  description: 'Writes a greeting to a file.',
  hosts: 'all',
  vars,
  load: () => import('./stages.ts'),
});
