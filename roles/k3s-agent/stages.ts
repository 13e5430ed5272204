/**
 * What `k3s-agent` does: installs the release, writes its settings, joins, and waits until a server calls the node
 * ready.
 */
import {
  fromEach,
  type HostView,
  isWaived,
  pass,
  type RoleChecks,
  type RoleStages,
  refuse,
  sh,
  task,
  UserError,
  type Verdict,
} from '../../engine/index.ts';
import { apt } from '../../engine/resources/apt.ts';
import { file } from '../../engine/resources/file.ts';
import { waitFor } from '../../engine/resources/wait.ts';
import { serversOf } from '../cluster/groups.ts';
import { type Network, network, nodeIp, nodeIps } from '../cluster/network.ts';
import { system } from '../cluster/system.ts';
import { adoptAgentVerdict, type ClusterToJoin } from '../k3s/adopt.ts';
import { clusterToJoin } from '../k3s/cluster-to-join.ts';
import { agentConfig, flannelIfaceOf, type NodeVars, unitFile } from '../k3s/config.ts';
import { installTasks } from '../k3s/install.ts';
import { askReleases, chosenRelease, compareVersions, wantedVersion } from '../k3s/release.ts';
import { k3sRestarted, k3sStarted } from '../k3s/start.ts';
import { hasCluster, isUp, type K3sState, k3sState, replacedSettings } from '../k3s/state.ts';
import { clusterToken, firstToken, ownToken, tokenFile } from '../k3s/token.ts';
import { filesVerdict, settingsVerdict } from '../k3s/verdicts.ts';
import type { vars } from './vars.ts';

const RESTART = 'restart k3s-agent';

/** Guards run whatever tags are selected. */
const ALWAYS = { tags: ['always'] };

/** What must hold before anything is changed anywhere. */
export const checks: RoleChecks<typeof vars> = (checks) =>
  checks({
    facts: (context) => ({
      own: k3sState,
      settings: replacedSettings,
      system,
      states: fromEach(serversOf(context), k3sState, 'omit'),
      networks: fromEach(serversOf(context), network, 'omit'),
      releases: askReleases(serversOf(context), context.vars, true),
    }),
    verdicts: ({ facts, vars, ...context }) => {
      const found = chosenRelease(serversOf(context), facts.releases);
      const staying = new Map(
        [...facts.states].filter(([name]) => !context.runHosts.some((host) => host.name === name)),
      );
      return [
        kindVerdict(facts.own),
        adoptAgentVerdict(facts.own, facts.settings, vars, clusterOf(vars, serversOf(context), facts)),
        settingsVerdict(vars.k3s_config),
        filesVerdict(found, facts.system.arch, vars),
        skewVerdict(wantedVersion(found, vars), staying),
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
    name: 'agent',
    facts: (context) => ({
      own: k3sState,
      settings: replacedSettings,
      system,
      network,
      ownToken,
      states: fromEach(serversOf(context), k3sState, 'omit'),
      networks: fromEach(serversOf(context), network, 'omit'),
      tokens: fromEach(serversOf(context), clusterToken, 'omit'),
      releases: askReleases(serversOf(context), context.vars, true),
    }),

    tasks: ({ facts, vars, host, ...context }) => {
      const { own } = facts;
      const servers = serversOf(context);
      const guard = task('Make sure that this host is no server', kindVerdict(own), ALWAYS);
      if (kindVerdict(own).verdict === 'refuse') return [guard];
      const adopt = adoptAgentVerdict(own, facts.settings, vars, clusterOf(vars, servers, facts));
      const ips = nodeIps(servers, facts.networks);
      const ip = nodeIp(host, facts.network);
      const via = viaOf(servers, facts.states);
      const notify = isUp(own.agent) ? { notify: RESTART } : {};
      const config = agentConfig(vars, {
        nodeIp: ip,
        join: joinUrl(vars, own.joins, servers, via, ips),
        flannelIface: flannelIfaceOf(ip, facts.network),
      });
      const token = tokenFile({
        given: vars.k3s_token,
        own: facts.ownToken,
        cluster: firstToken(servers, facts.tokens),
        begins: false,
      });
      const exists = [...facts.states.values()].some(hasCluster);
      return [
        guard,
        ...(exists
          ? []
          : [task('Make sure that there is a cluster to join', clusterToJoin(via.name, context.runHosts), ALWAYS)]),
        task(
          'Make sure that no setting of an existing k3s is lost',
          isWaived(host, adopt.id) ? pass(adopt.id, 'waived') : adopt,
          ALWAYS,
        ),
        ...installTasks({
          vars,
          arch: facts.system.arch,
          release: chosenRelease(servers, facts.releases),
          state: own,
          restart: notify,
        }),
        task('Write the token, for root only', token, { ...notify, tags: ['config'] }),
        task('Write config.yaml', file({ path: '/etc/rancher/k3s/config.yaml', content: config, mode: '0600' }), {
          ...notify,
          tags: ['config'],
        }),
        task('Write the unit', file({ path: '/etc/systemd/system/k3s-agent.service', content: unitFile('agent') }), {
          ...notify,
          tags: ['config'],
        }),
        task('Join the cluster', k3sStarted({ kind: 'agent', deadline: vars.k3s_start_timeout }), { tags: ['start'] }),
        task('Wait until its node is ready', nodeReady(own.node, vars.k3s_start_timeout), {
          delegateTo: via,
          tags: ['start'],
        }),
      ];
    },

    handlers: ({ vars }) => ({
      [RESTART]: task('Restart k3s-agent', k3sRestarted({ kind: 'agent', deadline: vars.k3s_start_timeout })),
    }),
  }),
];

/** The cluster to join, as the servers know it. */
function clusterOf(
  vars: NodeVars,
  servers: readonly HostView[],
  {
    states,
    networks,
  }: { readonly states: ReadonlyMap<string, K3sState>; readonly networks: ReadonlyMap<string, Network> },
): ClusterToJoin {
  const ips = nodeIps(servers, networks);
  const names = servers.flatMap(({ name, address }) => [name, address, ...[ips.get(name) ?? []].flat()]);
  const all = vars.kube_vip_address === undefined ? names : [...names, vars.kube_vip_address];
  return {
    ca: servers.flatMap(({ name }) => states.get(name)?.ca ?? [])[0],
    urls: new Set(all.map((name) => `https://${name}:6443`)),
  };
}

function kindVerdict(own: K3sState): Verdict {
  if (!isUp(own.server) && !hasCluster(own)) return pass('k3s-kind', 'no server of k3s is here');
  return refuse('k3s-kind', {
    evidence: `k3s.service is ${own.server}, its data is in ${own.datastore}`,
    what: 'this host is a server of a cluster, and the inventory calls it an agent',
    hint:
      'put it into the group server; or take it out of its cluster first: stop and disable k3s, delete its node from another ' +
      'server, move /var/lib/rancher/k3s/server away',
    final: true,
  });
}

/** An agent must not be newer than any server; `servers` are those that this run leaves as they are. */
export function skewVerdict(version: string, servers: ReadonlyMap<string, Pick<K3sState, 'version'>>): Verdict {
  const older = [...servers].filter(([, state]) => state.version && compareVersions(state.version, version) < 0);
  if (older.length === 0) return pass('k3s-skew', `${version}, no server stays older`);
  const list = older.map(([name, state]) => `${name} ${state.version}`).join(', ');
  return refuse('k3s-skew', {
    evidence: `${version} is wanted here; ${list}`,
    what: 'an agent must not be newer than the servers, and this run leaves them as they are',
    hint: 'upgrade the servers first: run without --limit',
  });
}

/** The first server that runs; before there is one, the first of the inventory. */
function viaOf(servers: readonly HostView[], states: ReadonlyMap<string, K3sState>): HostView {
  const running = servers.find(({ name }) => {
    const state = states.get(name);
    return state?.server === 'active' && hasCluster(state);
  });
  const via = running ?? servers[0];
  if (!via)
    throw new UserError({
      what: 'the inventory has no server to join',
      hint: 'put at least one host into [server]',
    });
  return via;
}

/**
 * The URL for `server:`. The virtual IP where there is one: it outlives any server. Else the address of a server; one
 * that is set already stays, so that no run restarts the agent because a server was away (the agent knows all servers
 * once it has joined).
 */
function joinUrl(
  vars: NodeVars,
  current: string | undefined,
  servers: readonly HostView[],
  via: HostView,
  ips: ReadonlyMap<string, string>,
): string {
  if (vars.kube_vip_address) return `https://${vars.kube_vip_address}:6443`;
  const known = servers.some(({ name, address }) =>
    [ips.get(name), name, address].some((at) => current === `https://${at}:6443`),
  );
  return known && current !== undefined ? current : `https://${ips.get(via.name) ?? via.address}:6443`;
}

/** Waits until a server calls the node ready. */
function nodeReady(node: string, deadline: number) {
  return waitFor({
    what: `node ${node} to be ready`,
    deadline,
    every: 2,
    script: sh`
hw_text=$(/usr/local/bin/k3s kubectl get node ${node} -o ${'jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status} {.message}{end}'} 2>&1)
printf '%s\n' "$hw_text" | tail -n 1
case $hw_text in True*) ;; *) exit 1 ;; esac`,
  });
}
