/** What `k3s-start-stopped` does: one start, not waited for. */
import { type RoleStages, task, type VarsSchema } from '../../engine/index.ts';
import { unit } from '../../engine/resources/systemd.ts';
import { hasCluster, k3sState } from '../k3s/state.ts';

/** What it does. */
export const stages: RoleStages<VarsSchema> = (stage) => [
  stage({
    name: 'start',
    facts: () => ({ own: k3sState }),
    tasks: ({ facts: { own } }) => [
      task('Start a member that is stopped', unit('k3s', { active: true, noBlock: true }), {
        when: hasCluster(own) && own.server !== 'absent' && own.version !== undefined,
        tags: ['start'],
      }),
    ],
  }),
];
