/**
 * A small playbook for tests of the program itself: a file with a secret in it, a command that says the secret, a handler, and
 * variables of each kind. It works on a host of this machine as well as on a lab's.
 */

import { defineRole, fact, play, playbook, refuse, sh, task } from '../../../engine/index.ts';
import { command } from '../../../engine/resources/command.ts';
import { file } from '../../../engine/resources/file.ts';
import { template } from '../../../engine/template.ts';

const letter = template(new URL('greeting.hbs', import.meta.url));

const kernel = fact({ name: 'kernel', script: sh`uname -s`, parse: ({ stdout }) => stdout.trim(), example: 'Linux' });

const greet = defineRole({
  name: 'greet',
  description: 'Writes a greeting.',
  tags: ['write', 'say'],
  vars: {
    properties: {
      greet_path: { type: 'string', description: 'Where the greeting goes.', examples: ['/tmp/greeting'] },
      greet_tone: { type: 'string', enum: ['warm', 'cool'], default: 'warm', description: 'How it sounds.' },
      greet_times: { type: 'integer', minimum: 1, maximum: 5, default: 1, description: 'How often it is said.' },
      greet_token: { type: 'string', secret: true, default: 'sesame-5up3r', description: 'What nobody may see.' },
      greet_exit: { type: 'integer', default: 0, description: 'What saying it ends with.' },
      greet_seconds: { type: 'integer', default: 0, description: 'How long it takes to say it.' },
      greet_signature: { type: 'boolean', default: true, description: 'Whether the template is given its signature.' },
      greet_breaks: { type: 'boolean', default: false, description: 'Whether the role itself is broken.' },
      greet_refuses: { type: 'boolean', default: false, description: 'Whether the role refuses before it begins.' },
    },
    required: ['greet_path'],
  },
  checks: (checks) =>
    checks({
      facts: () => ({ kernel }),
      verdicts: ({ vars, facts }) =>
        vars.greet_refuses
          ? [refuse('manners', { evidence: facts.kernel, what: 'greeting is not wanted here', hint: 'wave' })]
          : [],
    }),
  stages: (stage) => [
    stage({
      name: 'greet',
      facts: () => ({ kernel }),
      tasks: ({ vars, facts }) => [
        task(
          'Write the greeting',
          file({
            path: vars.greet_path,
            content: letter({
              tone: vars.greet_tone,
              kernel: facts.kernel,
              token: vars.greet_token,
              ...(vars.greet_signature ? { signature: 'H.' } : {}),
            }),
          }),
          { tags: ['write'], notify: vars.greet_breaks ? 'nobody' : 'tell' },
        ),
        task('Stay silent', command(sh`true`), { when: false }),
        task(
          'Say it',
          command(
            sh`sleep ${vars.greet_seconds}; echo said ${vars.greet_times} times with ${vars.greet_token}; echo ${vars.greet_token} >&2; exit ${vars.greet_exit}`,
            { id: 'say it', changed: false },
          ),
          { tags: ['say'] },
        ),
      ],
      handlers: () => ({ tell: task('Tell', command(sh`true`)) }),
    }),
  ],
});

await playbook('Greet', [
  play({ name: 'Everyone', hosts: 'people', roles: [greet()], become: false, tags: ['all-people'] }),
]);
