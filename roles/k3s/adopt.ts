/**
 * May a k3s that somebody else installed be taken over, or what is left of it? Its unit and config.yaml are replaced,
 * so only where no setting is lost or changed by that, and no node taken from another cluster. Pure.
 */
import { pass, refuse, type Verdict, warn } from '../../engine/index.ts';
import { effectiveSettings, type NodeVars, type ServerVars } from './config.ts';
import { criticalDifferences, normal, settingsFor } from './flags.ts';
import { hasCluster, type K3sState, type Settings } from './state.ts';

/** Settings of an existing k3s that we set by other means, or that mean nothing once it runs. */
const NOT_COMPARED = new Set([
  'server',
  'cluster-init',
  'token-file',
  'node-ip',
  'node-name',
  'config',
  'url',
  'cluster-dns',
]);

const NOTHING = pass('k3s-adopt', 'nothing of others is here');

/** Of a server. `found`: the settings that are replaced. */
export function adoptServerVerdict(state: K3sState, found: Settings, vars: ServerVars): Verdict {
  const isForeign = state.config === 'foreign' || (!state.ours && (state.server !== 'absent' || hasCluster(state)));
  if (!isForeign) return NOTHING;
  const wanted = effectiveSettings(vars);
  const lost = lostSettings(found, wanted);
  const critical = criticalDifferences(wanted, found).filter(
    ({ flag }) => !lost.some((text) => text.startsWith(`${flag}:`)),
  );
  return verdictOf(state, [...lost, ...critical.map(({ flag, there }) => `${flag}: ${there}`)], SETTINGS_HINT);
}

/** The cluster that an agent is to join. */
export interface ClusterToJoin {
  /** The hash of its CA; undefined where there is none yet, or no server could be asked. */
  readonly ca: string | undefined;
  /** Every URL by which its API is known here. */
  readonly urls: ReadonlySet<string>;
}

/** Of an agent. Its unit or config.yaml may be all that is left of a node of another cluster. */
export function adoptAgentVerdict(state: K3sState, found: Settings, vars: NodeVars, cluster: ClusterToJoin): Verdict {
  const isForeign = state.config === 'foreign' || (!state.ours && state.agent !== 'absent');
  if (!isForeign) return NOTHING;
  const joined = [found['server'], found['url']].find((url) => typeof url === 'string');
  const isOther =
    state.agentCa !== undefined && cluster.ca !== undefined
      ? state.agentCa !== cluster.ca
      : typeof joined === 'string' && !cluster.urls.has(joined);
  const lost = lostSettings(found, settingsFor('agent', vars.k3s_config));
  if (!isOther) return verdictOf(state, lost, SETTINGS_HINT);
  const node = `its place in the cluster at ${joined ?? `the servers with the CA ${state.agentCa?.slice(0, 12)}...`}`;
  return refuse('k3s-adopt', {
    evidence: [node, ...lost].join('; '),
    what: 'this host is, or was, a node of another cluster: joining this one replaces its config.yaml, with settings that would be lost',
    expected: 'a host without k3s, or an agent of this cluster',
    hint:
      'is it the right host? If it is to leave that cluster: drain it and delete its node there, save what you need of ' +
      '/etc/rancher/k3s and /var/lib/rancher/k3s, run k3s-agent-uninstall.sh (or stop and disable k3s-agent, remove its unit and ' +
      '/etc/rancher/k3s/config.yaml), then run again',
  });
}

const SETTINGS_HINT =
  'put them into k3s_config (tls-san into k3s_tls_san, networks into k3s_cluster_cidr and k3s_service_cidr), or remove ' +
  '/etc/rancher/k3s/config.yaml where it is left over from something else, then run again';

function verdictOf(state: K3sState, lost: readonly string[], hint: string): Verdict {
  if (lost.length === 0) {
    return warn('k3s-adopt', {
      evidence: `k3s ${state.version ?? ''}, installed by others, with the settings that group_vars have`,
      what: 'its unit and config.yaml are taken over; its data is kept',
    });
  }
  return refuse('k3s-adopt', {
    evidence: lost.join('; '),
    what: 'k3s was installed here by others, with settings that would be lost',
    expected: 'an existing k3s whose every setting is in group_vars too',
    hint,
  });
}

/** Settings that `wanted` does not have, or has otherwise. */
function lostSettings(found: Settings, wanted: Settings): readonly string[] {
  return Object.entries(found).flatMap(([flag, value]) => {
    if (NOT_COMPARED.has(flag)) return [];
    if (flag === 'tls-san') {
      const names = new Set([wanted[flag]].flat().map(String));
      const missing = [value].flat().filter((name) => !names.has(String(name)));
      return missing.length > 0 ? [`k3s_tls_san: [${missing.join(', ')}]`] : [];
    }
    const there = normal(flag, value);
    return wanted[flag] !== undefined && normal(flag, wanted[flag]) === there ? [] : [`${flag}: ${there}`];
  });
}
