/** What `preflight` looks at: checks only, on all hosts before the first play. */
import { fromEach, type RoleChecks, type RoleStages, refuse } from '../../engine/index.ts';
import { nodeKind, nodesOf, serversOf } from '../cluster/groups.ts';
import { network, sourceAddresses } from '../cluster/network.ts';
import { system } from '../cluster/system.ts';
import { clusterVerdicts } from './cluster.ts';
import { prerequisites } from './facts.ts';
import { machineVerdicts } from './machine.ts';
import { listeners } from './ports.ts';
import type { preflightVars } from './vars.ts';

/** What must hold before anything is changed anywhere. */
export const checks: RoleChecks<typeof preflightVars> = (checks) =>
  checks({
    facts: (ask) => {
      const found = prerequisites(ask.vars.preflight_data_dir, ask.vars.k3s_cluster_cidr);
      return {
        // First, so that its clock is read when the answer is near.
        systems: fromEach(nodesOf(ask), system, 'omit'),
        networks: fromEach(nodesOf(ask), network, 'omit'),
        sources: sourceAddresses(nodesOf(ask)),
        found,
        servers: fromEach(serversOf(ask), found, 'omit'),
        system,
        listeners,
      };
    },
    verdicts: ({ host, vars, facts, ...ask }) => {
      const kind = nodeKind(host);
      if (!kind) {
        const what = `${host.name} is neither a server nor an agent`;
        return [refuse('group', { evidence: host.groups.join(', '), what, expected: 'the groups server and agent' })];
      }
      const checked = new Set(ask.playHosts.map(({ name }) => name));
      return [
        ...machineVerdicts({ host, kind, ...facts }, vars),
        ...clusterVerdicts({ host, nodes: nodesOf(ask), checked, ...facts }, vars.preflight_clock_drift),
      ];
    },
  });

/** What it does. */
export const stages: RoleStages<typeof preflightVars> = () => [];
