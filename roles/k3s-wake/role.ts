/**
 * k3s-wake: starts the servers that are members of the cluster already and are stopped, all at once and without waiting. After
 * a loss of power no server gets ready before a majority runs, so to start them one after the other, waiting for each, would
 * wait for ever.
 */
import { defineRole, task } from '../../engine/index.ts';
import { unit } from '../../engine/resources/systemd.ts';
import { hasCluster, k3sState } from '../k3s/state.ts';

/** The role. */
export const k3sWake = defineRole({
  name: 'k3s-wake',
  description: 'Starts servers that are members already and stopped, together, without waiting for them.',
  hosts: 'server',
  vars: { properties: {} },
  tags: ['start'],
  stages: (stage) => [
    stage({
      name: 'wake',
      facts: () => ({ own: k3sState }),
      tasks: ({ facts: { own } }) => [
        task('Start a member that is stopped', unit('k3s', { active: true, noBlock: true }), {
          when: hasCluster(own) && own.server !== 'absent' && own.version !== undefined,
          tags: ['start'],
        }),
      ],
    }),
  ],
});
