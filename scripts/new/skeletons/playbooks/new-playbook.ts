/**
 * What this playbook brings about, in one sentence.
 *
 *   npx tsx playbooks/new-playbook.ts -i hosts [--check --diff]
 */
import { play, playbook } from '../../../../engine/index.ts';
import { newRole } from '../roles/new-role/role.ts';

await playbook('New playbook', [
  // Plays run in this order. docs/playbooks.md has every keyword of a play.
  play({ name: 'New role', hosts: newRole.role.hosts, roles: [newRole()] }),
]);
