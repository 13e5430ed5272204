/**
 * The workload `files` as a playbook: `npx tsx bench/playbooks/files.ts -i hosts`. `npm run bench` writes the files
 * first.
 */
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
