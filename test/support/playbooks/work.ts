/** A playbook for tests on lab hosts: the work that `work_tasks` names, in that order, as one stage. */

import { defineRole, play, playbook, sh, type Task, task } from '../../../engine/index.ts';
import { apt } from '../../../engine/resources/apt.ts';
import { command } from '../../../engine/resources/command.ts';
import { download } from '../../../engine/resources/download.ts';
import { file } from '../../../engine/resources/file.ts';

const work = defineRole({
  name: 'work',
  description: 'Does what is asked for.',
  tags: ['file', 'apt', 'download', 'slow', 'big', 'after'],
  vars: {
    properties: {
      work_tasks: {
        type: 'array',
        items: {
          type: 'string',
          enum: ['file', 'apt', 'download', 'slow', 'big', 'after'],
          description: 'A kind of work.',
        },
        default: ['file'],
        description: 'What to do.',
      },
      work_text: { type: 'string', default: 'new', description: 'What the files hold.' },
      work_package: { type: 'string', default: 'tree', description: 'What is installed.' },
      work_url: { type: 'string', default: 'http://localhost/', description: 'What is downloaded.' },
      work_sha256: { type: 'string', default: '0'.repeat(64), description: 'Its checksum.' },
      work_seconds: { type: 'integer', default: 3, description: 'How long the slow work takes.' },
    },
  },
  stages: (stage) => [
    stage({
      name: 'work',
      tasks: ({ vars }) => {
        const kinds: Readonly<Record<string, () => Task>> = {
          file: () =>
            task('Write a file', file({ path: '/etc/work.conf', content: `${vars.work_text}\n` }), { tags: ['file'] }),
          apt: () => task('Install a package', apt(vars.work_package), { tags: ['apt'] }),
          download: () =>
            task(
              'Fetch a program',
              download({ path: '/usr/local/bin/work', url: vars.work_url, sha256: vars.work_sha256, mode: '0755' }),
              { tags: ['download'] },
            ),
          slow: () =>
            task(
              'Take time',
              command(sh`touch /run/slow.begun; sleep ${vars.work_seconds}; touch /run/slow.done`, {
                creates: '/run/slow.done',
              }),
              { tags: ['slow'] },
            ),
          big: () =>
            task(
              'Write a big file',
              file({ path: '/etc/work.big', content: `${vars.work_text}\n`.repeat(12 * 1024 * 256) }),
              { tags: ['big'] },
            ),
          after: () =>
            task('Go on', command(sh`touch /run/after.done`, { creates: '/run/after.done' }), { tags: ['after'] }),
        };
        return vars.work_tasks.flatMap((kind) => kinds[kind]?.() ?? []);
      },
    }),
  ],
});

await playbook('Work', [play({ name: 'Hosts', hosts: 'all', roles: [work()] })]);
