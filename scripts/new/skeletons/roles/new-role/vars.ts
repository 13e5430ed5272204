/** Variables of the role new-role. */
import type { VarsSchema } from '../../../../../engine/index.ts';

/** All of them. Their names begin with the role's. */
export const vars = {
  properties: {
    new_role_path: {
      type: 'string',
      default: '/etc/new-role.conf',
      pattern: '^/',
      description: 'The file that the role writes.',
    },
    new_role_greeting: { type: 'string', default: 'Hello', description: 'What the file says to the host.' },
  },
} as const satisfies VarsSchema;
