/** Variables of the role kubeconfig. */
import type { VarsSchema } from '../../engine/index.ts';

/** All of them. */
export const vars = {
  properties: {
    k3s_fetch_kubeconfig: {
      type: 'string',
      description:
        'Write an admin kubeconfig to this file on the machine that runs the playbook, mode 0600, for the virtual IP or the first ' +
        'server. Relative to the working directory. Unset: none is written.',
      examples: ['kubeconfig', '/home/ada/.kube/heartwood'],
    },
  },
} as const satisfies VarsSchema;
