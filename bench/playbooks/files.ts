/** Five large files as a playbook of Heartwood's: `npx tsx bench/playbooks/files.ts -i hosts`. */
import { defineRole, play, playbook } from '../../engine/index.ts';
import { heartwoodTasks } from '../render/heartwood.ts';
import { largeFileTasks } from '../tasks.ts';

const files = defineRole({
  name: 'files',
  description: 'Five files of 20 MB.',
  vars: { properties: {} },
  stages: (stage) => [stage({ name: 'files', tasks: () => heartwoodTasks(largeFileTasks()) })],
});

await playbook('Large files', [play({ name: 'Large files', hosts: 'bench', roles: [files()] })]);
