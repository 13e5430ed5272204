/** What `kube-vip` does: its DaemonSet applied, the API asked at the address, its holders counted. */
import {
  type AskContext,
  fromEach,
  pass,
  type RoleChecks,
  type RoleStages,
  refuse,
  sh,
  type Task,
  task,
  type Verdict,
  warn,
} from '../../engine/index.ts';
import { kubernetesObject } from '../../engine/resources/kubernetes.ts';
import { waitFor } from '../../engine/resources/wait.ts';
import { remedyFor, workloadStatus } from '../../engine/resources/workload-status.ts';
import { nodesOf, serversOf } from '../cluster/groups.ts';
import { network, nodeIps } from '../cluster/network.ts';
import { DATA, hwReady } from '../k3s/etcd.ts';
import { hasCluster, type K3sState, k3sState } from '../k3s/state.ts';
import { hwHasVip, KUBE_VIP, LEASE, vipObservation } from '../k3s/vip.ts';
import { type KubeVipVars, leaseCost, manifest } from './manifest.ts';
import type { vars } from './vars.ts';
import { freeVerdict, holdersOf, interfaceFor, interfaceVerdict, type VipObservations } from './vip-observation.ts';

const KUBECTL = sh`/usr/local/bin/k3s kubectl`;

/** An address for documentation, where the variable is unset and nothing is asked in earnest. */
const NONE = '192.0.2.254';

/** The pods that hold the address. */
const WORKLOAD = {
  kind: 'DaemonSet',
  name: KUBE_VIP,
  namespace: 'kube-system',
  podLabels: { 'app.kubernetes.io/name': KUBE_VIP },
};

type Context = AskContext<KubeVipVars>;

/** What must hold before anything is changed anywhere. */
export const checks: RoleChecks<typeof vars> = (checks) =>
  checks({
    facts: sharedFacts,
    verdicts: ({ facts, vars, host, ...context }) => {
      const address = vars.kube_vip_address;
      if (address === undefined) return [];
      const absent = serversOf(context).filter(({ name }) => !facts.observations.has(name));
      const nodes = nodeIps(nodesOf(context), facts.networks);
      return [
        freeVerdict(
          address,
          facts.observations,
          absent.map(({ name }) => name),
          nodes,
        ),
        ...modeVerdicts(vars, address, facts.observations),
      ];
    },
  });

/** What it does. */
export const stages: RoleStages<typeof vars> = (stage) => [
  stage({
    name: 'apply',
    facts: sharedFacts,
    tasks: ({ facts, vars, host, ...context }) => {
      const address = vars.kube_vip_address;
      if (address === undefined) return [];
      const verdicts = modeVerdicts(vars, address, facts.observations);
      const bad = verdicts.find(({ verdict }) => verdict === 'refuse');
      if (bad) return [task('Choose the interface', bad)];
      const found = interfaceFor(address, facts.observations, vars.kube_vip_interface);
      const iface = found.ok ? found.iface : undefined;
      const applier = serversOf(context).find(({ name }) => isRunning(facts.states.get(name))) ?? host;
      // The pod of a server that is away cannot get ready. Whether the address answers is checked below in any case.
      const complete = serversOf(context).every(({ name }) => isRunning(facts.states.get(name)));
      const wait = { waitFor: { condition: 'rolled out', deadline: vars.kube_vip_timeout } };
      const objects = manifest(vars, address, iface);
      return [
        task(
          'Say what the lease costs',
          pass('vip-lease', vars.kube_vip_mode === 'arp' ? leaseCost(vars.kube_vip_lease) : 'bgp'),
        ),
        task('Apply kube-vip', kubernetesObject({ manifest: objects, kubectl: KUBECTL, ...(complete ? wait : {}) }), {
          // On one server that runs, whichever was asked for by --limit: its API is allHosts's.
          delegateTo: applier,
          runOnce: true,
        }),
        ...(vars.kube_vip_mode === 'arp' ? [apiAnswers(address, vars.kube_vip_timeout)] : []),
      ];
    },
  }),

  stage({
    name: 'verify',
    facts: (context) => ({
      ...sharedFacts(context),
      own: k3sState,
    }),
    tasks: (context) => {
      const { facts, vars } = context;
      const address = vars.kube_vip_address;
      if (address === undefined || vars.kube_vip_mode !== 'arp') return [];
      const silent = serversOf(context).flatMap(({ name }) => (facts.observations.has(name) ? [] : [name]));
      const running = [...facts.states.values()].some(isRunning);
      return [
        task('Count the servers that have the address', holderVerdict(address, facts.observations, running, silent), {
          runOnce: true,
        }),
      ];
    },
  }),
];

/** What every part of the role asks. */
function sharedFacts(context: Context) {
  const servers = serversOf(context);
  const observation = vipObservation(context.vars.kube_vip_address ?? NONE);
  return {
    observations: fromEach(context.vars.kube_vip_address === undefined ? [] : servers, observation, 'omit'),
    networks: fromEach(context.vars.kube_vip_address === undefined ? [] : nodesOf(context), network, 'omit'),
    states: fromEach(context.vars.kube_vip_address === undefined ? [] : servers, k3sState, 'omit'),
  };
}

function isRunning(state: K3sState | undefined): boolean {
  return state?.server === 'active' && hasCluster(state);
}

function modeVerdicts(vars: KubeVipVars, address: string, observations: VipObservations): readonly Verdict[] {
  if (vars.kube_vip_mode === 'arp') {
    return [
      interfaceVerdict(interfaceFor(address, observations, vars.kube_vip_interface)),
      pass('vip-lease', leaseCost(vars.kube_vip_lease)),
    ];
  }
  if (vars.kube_vip_bgp)
    return [pass('vip-bgp', `AS ${vars.kube_vip_bgp.as}, ${vars.kube_vip_bgp.peers.length} peers`)];
  return [
    refuse('vip-bgp', {
      evidence: 'kube_vip_bgp is unset',
      what: 'kube_vip_mode is bgp, and there are no routers to announce the address to',
      expected: 'kube_vip_bgp: { as: 65001, peers: ["192.168.2.1:65000::false"] }',
    }),
  ];
}

/**
 * The API answers at the address, with a certificate that has it: asked by every server, since each goes another way.
 */
export function apiAnswers(address: string, deadline: number): Task {
  const wait = waitFor({
    what: `the API to answer at ${address}`,
    deadline,
    script: sh`
hw_text=$(curl -sS -m 5 --cacert ${DATA}/server/tls/server-ca.crt ${`https://${address}:6443/ping`} 2>&1); hw_rc=$?
case $hw_rc in
  0) ${hwReady} ${address} || exit 1; if ${hwHasVip} ${address}; then echo 'ok, this server has it'; else echo ok; fi; exit 0 ;;
  60|51) echo "the certificate of the API does not have the address: $hw_text"; exit 1 ;;
esac
hw_pods=$(${workloadStatus(KUBECTL, [WORKLOAD])})
printf '%s%s\n' "$(printf '%s\n' "$hw_text" | tail -n 1)" "$(printf '%s\n' "$hw_pods" | sed 's/^./; &/' | tr -d '\n')"
exit 1`,
  });
  const explain: typeof wait.explain = (failure) => {
    const said = wait.explain?.(failure);
    if (!said) return undefined;
    const certificate = failure.stderr.includes('does not have the address');
    const hint = certificate
      ? 'k3s has kube_vip_address in its tls-san (run the role k3s-server), yet an old certificate: `k3s certificate rotate`, server by server'
      : (remedyFor(failure.stderr) ?? `k3s kubectl -n kube-system logs -l app.kubernetes.io/name=${KUBE_VIP}`);
    return { ...said, hint };
  };
  return task('Wait until the API answers at the address', { ...wait, explain });
}

/**
 * Exactly one server has the address. Before there is a cluster nobody has.
 * @param silent Servers that could not be asked.
 */
export function holderVerdict(
  address: string,
  observations: VipObservations,
  running: boolean,
  silent: readonly string[] = [],
): Verdict {
  const holders = holdersOf(observations);
  if (holders.length === 1) return pass('vip-holder', `${address} is on ${holders[0]}, and on no other server`);
  if (holders.length === 0 && !running) {
    return warn('vip-holder', { evidence: 'no cluster runs yet', what: 'nobody has the address so far' });
  }
  if (holders.length === 0 && silent.length > 0) {
    return warn('vip-holder', {
      evidence: `none of ${[...observations.keys()].join(', ')}`,
      what: `whether a server has ${address} is not known: ${silent.join(', ')} could not be asked`,
      hint: `bring ${silent.join(', ')} back and run again`,
    });
  }
  return refuse('vip-holder', {
    evidence: holders.length === 0 ? `none of ${[...observations.keys()].join(', ')}` : holders.join(', '),
    what: holders.length === 0 ? `no server has ${address}` : `${address} is on more than one server`,
    expected: 'exactly one',
    hint:
      holders.length === 0
        ? `k3s kubectl -n kube-system get pods -l app.kubernetes.io/name=${KUBE_VIP}`
        : `k3s kubectl -n kube-system get lease ${LEASE} names the right one; delete the kube-vip pods of the others`,
  });
}
