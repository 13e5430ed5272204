/** The workload `facts` as a playbook: `npx tsx bench/playbooks/facts.ts -i hosts`. */
import { defineRole, fact, pass, play, playbook, Script, task } from '../../engine/index.ts';
import { FACTS_SCRIPT } from '../render/shell.ts';

const whoItIs = fact({
  name: 'who it is',
  script: Script.raw(FACTS_SCRIPT),
  parse: ({ stdout }) => stdout.trim(),
  example: 'Linux bench-1 6.1.0 x86_64',
});

const facts = defineRole({
  name: 'facts',
  description: 'Asks a host who it is.',
  vars: { properties: {} },
  stages: (stage) => [
    stage({
      name: 'facts',
      facts: () => ({ whoItIs }),
      tasks: (context) => [task('Who it is', pass('who', context.facts.whoItIs))],
    }),
  ],
});

await playbook('Facts', [play({ name: 'Facts', hosts: 'bench', roles: [facts()] })]);
