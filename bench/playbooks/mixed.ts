/** The 60 mixed tasks as a playbook: `npx tsx bench/playbooks/mixed.ts -i hosts`. */
import { defineRole, play, playbook } from '../../engine/index.ts';
import { heartwoodTasks } from '../render/heartwood.ts';
import { mixedTasks } from '../tasks.ts';

const mixed = defineRole({
  name: 'mixed',
  description: 'Sixty tasks of eight kinds.',
  vars: { properties: {} },
  stages: (stage) => [stage({ name: 'mixed', tasks: () => heartwoodTasks(mixedTasks()) })],
});

await playbook('Mixed work', [play({ name: 'Mixed work', hosts: 'bench', roles: [mixed()] })]);
