/** What new-role does. A function of variables and facts: it reads no host, no file and no clock. */
import { type RoleStages, task } from '../../../../../engine/index.ts';
import { file } from '../../../../../engine/resources/file.ts';
import type { vars } from './vars.ts';

/** Its stages, in order. */
export const stages: RoleStages<typeof vars> = (stage) => [
  stage({
    name: 'configure',
    tasks: ({ vars, host }) => [
      task(
        'Write the greeting',
        file({ path: vars.new_role_path, content: `${vars.new_role_greeting}, ${host.name}\n` }),
      ),
    ],
  }),
];
