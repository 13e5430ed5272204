/** What `k3s-server` does: begins the cluster or joins it, one server at a time, and restarts only what changed. */
import {
  type AskContext,
  fromEach,
  type HostView,
  isWaived,
  pass,
  type RoleChecks,
  type RoleStages,
  refuse,
  task,
  UserError,
} from '../../engine/index.ts';
import { apt } from '../../engine/resources/apt.ts';
import { file } from '../../engine/resources/file.ts';
import { unit } from '../../engine/resources/systemd.ts';
import { waitFor } from '../../engine/resources/wait.ts';
import { serversOf } from '../cluster/groups.ts';
import { type Network, network, nodeIp, nodeIps } from '../cluster/network.ts';
import { isSameLogin } from '../cluster/same-machine.ts';
import { system } from '../cluster/system.ts';
import { adoptServerVerdict } from '../k3s/adopt.ts';
import { clusterToJoin } from '../k3s/cluster-to-join.ts';
import { effectiveSettings, flannelIfaceOf, type ServerVars, serverConfig, unitFile } from '../k3s/config.ts';
import { canBeSpared, etcdMembers, wasRemoved } from '../k3s/etcd.ts';
import { installTasks } from '../k3s/install.ts';
import { askReleases, chosenRelease, RELEASE_FILE, releaseFile } from '../k3s/release.ts';
import { failingJoinStopped, k3sRestarted, k3sStarted, removedDataAside } from '../k3s/start.ts';
import { isUp, k3sSettings, k3sState, replacedSettings, type Settings } from '../k3s/state.ts';
import { clusterToken, firstToken, ownToken, sameToken, tokenFile } from '../k3s/token.ts';
import { filesVerdict, settingsVerdict } from '../k3s/verdicts.ts';
import { decisionVerdict, flagsVerdict, numberVerdict, versionVerdict } from './checks.ts';
import { type Decision, decide } from './decision.ts';
import { beforeJoin, holdsCluster, joinUrl, listsOf, lostMember, type States, votes } from './join.ts';
import type { vars } from './vars.ts';

const RESTART = 'restart k3s';

/** Guards run whatever tags are selected. */
const ALWAYS = { tags: ['always'] };

type Context = AskContext<ServerVars>;

/** What must hold before anything is changed anywhere. */
export const checks: RoleChecks<typeof vars> = (checks) =>
  checks({
    facts: (context) => ({
      ...sharedFacts(context),
      settings: replacedSettings,
      system,
      othersSettings: fromEach(othersOf(context), k3sSettings, 'omit'),
    }),
    verdicts: ({ facts, vars, host, ...context }) => {
      const decision = decideFor(context, host, facts.states);
      const others = othersOf({ ...context, host }).map((other): [string, Settings] => {
        // A server that this run leaves out keeps its settings.
        const keeps = decision.kind === 'join' && !context.runHosts.some(({ name }) => name === other.name);
        const has = keeps && holdsCluster(facts.states, other.name) ? facts.othersSettings.get(other.name) : undefined;
        return [other.name, has ?? settingsIn(vars, other)];
      });
      const found = chosenRelease(serversOf(context), facts.releases);
      return [
        numberVerdict(serversOf(context).length),
        decisionVerdict(decision),
        adoptServerVerdict(facts.own, facts.settings, vars),
        settingsVerdict(vars.k3s_config),
        flagsVerdict(effectiveSettings(vars), new Map(others)),
        versionVerdict(facts.own, found, vars),
        filesVerdict(found, facts.system.arch, vars),
        tokenVerdict(vars, host, serversOf(context), facts.tokens),
      ];
    },
  });

/** What it does. */
export const stages: RoleStages<typeof vars> = (stage) => [
  stage({
    name: 'tools',
    tasks: () => [task('Install curl', apt('curl'), { tags: ['binary'] })],
  }),

  stage({
    name: 'server',
    facts: (context) => ({
      ...sharedFacts(context),
      settings: replacedSettings,
      system,
      ownToken,
      networks: fromEach(serversOf(context), network, 'omit'),
      members: fromEach(serversOf(context), etcdMembers, 'omit'),
      othersSettings: fromEach(othersOf(context), k3sSettings, 'omit'),
    }),

    tasks: ({ facts, vars, host, ...context }) => {
      const servers = serversOf(context);
      const ip = ipOf(host, facts.networks);
      const removed = wasRemoved(facts.own, ip, listsOf(facts.own, facts.states, facts.members));
      const own = removed ? { ...facts.own, removed } : facts.own;
      const states = new Map(facts.states).set(host.name, own);
      const decision = decideFor(context, host, states);
      const guard = task('Make sure that there is one cluster', decisionVerdict(decision), ALWAYS);
      if (decision.kind === 'refuse') return [guard];

      const ips = nodeIps(servers, facts.networks);
      const found = chosenRelease(servers, facts.releases);
      const joins = decision.kind === 'join';
      // A failing join of an earlier run. One that has its data is a member.
      const failing = joins && isUp(own.server);
      const notify = isUp(own.server) && !failing ? { notify: RESTART } : {};
      const config = serverConfig(vars, {
        nodeIp: ip,
        join: joinUrl(decision, own.joins, host, servers, ips, states, vars.kube_vip_address),
        flannelIface: flannelIfaceOf(ip, facts.networks.get(host.name)),
      });
      const token = tokenFile({
        given: vars.k3s_token,
        own: facts.ownToken,
        cluster: firstToken(servers, facts.tokens),
        begins: decision.kind === 'init',
      });
      const withCluster = new Map([...facts.othersSettings].filter(([name]) => holdsCluster(states, name)));
      const adopt = adoptServerVerdict(own, facts.settings, vars);
      return [
        guard,
        ...(decision.kind === 'join' && !decision.clusterExists
          ? [task('Make sure that there is a cluster to join', clusterToJoin(decision.via, context.runHosts), ALWAYS)]
          : []),
        task(
          'Make sure that no setting of an existing k3s is lost',
          isWaived(host, adopt.id) ? pass(adopt.id, 'waived') : adopt,
          ALWAYS,
        ),
        task('Compare the critical flags with the other servers', flagsVerdict(effectiveSettings(vars), withCluster), {
          ...ALWAYS,
          when: joins && !isWaived(host, 'k3s-flags'),
        }),
        task('Compare the token with the cluster', tokenVerdict(vars, host, servers, facts.tokens), ALWAYS),
        ...lostMember(decision, own.node, ip, facts.members),
        task('Stop the failing join', own.removed ? unit('k3s', { active: false }) : failingJoinStopped(), {
          when: failing,
        }),
        ...(removed ? [task('Move the data of the removed member aside', removedDataAside())] : []),
        ...installTasks({ vars, arch: facts.system.arch, release: found, state: own, restart: notify }),
        task('Write the token, for root only', token, { tags: ['config'] }),
        task('Write config.yaml', file({ path: '/etc/rancher/k3s/config.yaml', content: config, mode: '0600' }), {
          ...notify,
          tags: ['config'],
        }),
        task('Write the unit', file({ path: '/etc/systemd/system/k3s.service', content: unitFile('server') }), {
          ...notify,
          tags: ['config'],
        }),
        ...(found.ok && vars.k3s_binary === undefined
          ? [task('Record the release', file({ path: RELEASE_FILE, content: releaseFile(vars, found) }))]
          : []),
        ...(decision.kind === 'join' && decision.clusterExists
          ? beforeJoin(decision.via, host, ip, servers, ips, vars)
          : []),
        task(
          joins ? 'Join the cluster' : 'Start k3s',
          k3sStarted({ kind: 'server', deadline: vars.k3s_start_timeout, stopWhenJoinFails: joins }),
          {
            tags: ['start'],
            ...(joins ? { disrupts: { lock: 'etcd', after: votes(own.node, ip, vars.k3s_start_timeout) } } : {}),
          },
        ),
        task('Wait until it is a voter', votes(own.node, ip, vars.k3s_start_timeout), { tags: ['start'] }),
      ];
    },

    handlers: ({ facts, vars, host, ...context }) => {
      const several = serversOf(context).length > 1;
      const ip = ipOf(host, facts.networks);
      const { node } = facts.own;
      const vip =
        vars.kube_vip_address !== undefined && several ? { address: vars.kube_vip_address, node, ip } : undefined;
      return {
        [RESTART]: task('Restart k3s', k3sRestarted({ kind: 'server', deadline: vars.k3s_start_timeout }, vip), {
          disrupts: {
            lock: 'etcd',
            before: waitFor({
              what: `the cluster to be able to spare ${host.name}`,
              script: canBeSpared(ip),
              deadline: 120,
              every: 2,
            }),
            after: votes(node, ip, vars.k3s_start_timeout),
          },
        }),
      };
    },
  }),
];

/** The facts of both the checks and the stage. */
function sharedFacts(context: Context) {
  const servers = serversOf(context);
  const first = servers[0]?.name === context.host.name;
  return {
    own: k3sState,
    states: fromEach(servers, k3sState, 'omit'),
    tokens: fromEach(servers, clusterToken, 'omit'),
    releases: askReleases(servers, context.vars, !first),
  };
}

type Groups = Pick<Context, 'group'>;

function othersOf(context: Groups & Pick<Context, 'host'>): readonly HostView[] {
  return serversOf(context).filter(({ name }) => name !== context.host.name);
}

function decideFor(context: Groups, host: HostView, states: States): Decision {
  const servers = serversOf(context);
  // A second name of a server that answered hides no other cluster. The role preflight says that it is one.
  const answered = servers.filter(({ name }) => states.has(name));
  const others = servers.filter(
    (server) => states.has(server.name) || !answered.some((one) => isSameLogin(one, server)),
  );
  const names = others.map(({ name }) => name);
  return decide({ self: host.name, servers: names, states, trustAbsent: isWaived(host, 'split-brain') });
}

/** The settings that another server of the inventory will have, as far as its own variables make a difference. */
function settingsIn(vars: ServerVars, other: HostView) {
  const config = other.var('k3s_config');
  const text = (name: string, ours: string): string => {
    const theirs = other.var(name);
    return typeof theirs === 'string' ? theirs : ours;
  };
  return effectiveSettings({
    ...vars,
    k3s_config: typeof config === 'object' && config !== null ? { ...config } : {},
    k3s_cluster_cidr: text('k3s_cluster_cidr', vars.k3s_cluster_cidr),
    k3s_service_cidr: text('k3s_service_cidr', vars.k3s_service_cidr),
  });
}

function tokenVerdict(
  vars: ServerVars,
  host: HostView,
  servers: readonly HostView[],
  tokens: Parameters<typeof firstToken>[1],
) {
  const cluster = firstToken(servers, tokens);
  const given = vars.k3s_token;
  if (!given || !cluster)
    return pass('k3s-token', cluster ? 'the token is read from the cluster' : 'there is no cluster yet');
  if (sameToken(given, cluster)) return pass('k3s-token', 'k3s_token is the token of the cluster');
  return refuse('k3s-token', {
    evidence: `k3s_token for ${host.name} is another one than the cluster has`,
    what: 'k3s_token is not the token of the cluster: its data is encrypted with the one it has',
    hint: 'take k3s_token out, so that it is read from the cluster; `k3s token rotate` changes a token',
    final: true,
  });
}

function ipOf(host: HostView, networks: ReadonlyMap<string, Network>): string {
  const found = networks.get(host.name);
  if (!found) throw new UserError({ what: 'its network could not be read', host: host.name });
  return nodeIp(host, found);
}
