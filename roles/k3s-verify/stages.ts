/** What `k3s-verify` looks at: nodes by the API, voters by etcd's leader. */
import { fromEach, pass, type RoleStages, sh, task } from '../../engine/index.ts';
import { waitFor } from '../../engine/resources/wait.ts';
import { nodesOf, serversOf } from '../cluster/groups.ts';
import { network, nodeIps } from '../cluster/network.ts';
import { hwMembers } from '../k3s/etcd.ts';
import { hasCluster, k3sState } from '../k3s/state.ts';
import { quorumWords } from '../k3s-server/decision.ts';
import type { vars } from './vars.ts';

/** What it does. */
export const stages: RoleStages<typeof vars> = (stage) => [
  stage({
    name: 'verify',
    facts: (context) => ({
      // Hosts that can't be asked are left out: a limited run is no reason to wait for a host that is away.
      states: fromEach(nodesOf(context), k3sState, 'omit'),
      networks: fromEach(serversOf(context), network, 'omit'),
    }),
    tasks: ({ facts, vars, host, ...context }) => {
      const servers = serversOf(context);
      const ips = nodeIps(servers, facts.networks);
      const inCluster = servers.filter(({ name }) => {
        const state = facts.states.get(name);
        return state && hasCluster(state);
      });
      const members = inCluster.length > 0 ? inCluster : servers;
      const asked = servers.find(({ name }) => facts.states.get(name)?.server === 'active') ?? host;
      const nodes = [...facts.states].flatMap(([name, state]) => {
        const isServer = servers.some((server) => server.name === name);
        // In a limited run some nodes are not installed yet.
        const there = isServer ? hasCluster(state) : state.agent !== 'absent';
        return there || inCluster.length === 0 ? [state.node || name] : [];
      });
      const once = { runOnce: true, delegateTo: asked };
      const deadline = vars.k3s_start_timeout;
      const addresses = (of: readonly { readonly name: string }[]): string[] =>
        of.flatMap(({ name }) => ips.get(name) ?? []);
      return [
        task('Every node is ready', allReady(nodes, deadline), once),
        task('The voters are the servers', votersAre(addresses(members), addresses(servers), deadline), once),
        task('Say what the cluster survives', pass('quorum', quorumWords(members.length)), { runOnce: true }),
      ];
    },
  }),
];

function allReady(nodes: readonly string[], deadline: number) {
  return waitFor({
    what: 'every node to be ready',
    deadline,
    every: 2,
    script: sh`
hw_list=$(/usr/local/bin/k3s kubectl get nodes -o ${'jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status} {.metadata.labels.kubernetes\\.io/arch} {.status.conditions[?(@.type=="Ready")].message}{"\\n"}{end}'} 2>&1) || {
  printf '%s\n' "$hw_list" | tail -n 1; exit 1; }
hw_bad=
for hw_node in ${nodes}; do
  hw_found=$(printf '%s\n' "$hw_list" | sed -n "s/^$hw_node //p")
  case $hw_found in
    'True '*) ;;
    '') hw_bad="$hw_bad$hw_node is no node of the cluster; " ;;
    *) hw_bad="$hw_bad$hw_node is not ready (\${hw_found#* * }); " ;;
  esac
done
[ -z "$hw_bad" ] || { echo "$hw_bad"; exit 1; }
printf '%s\n' "$hw_list" | while read -r hw_node hw_ready hw_arch hw_message; do printf '%s (%s) ' "$hw_node" "$hw_arch"; done; echo`,
  });
}

/** The leader's list is exactly `wanted`, but for servers of the inventory (`known`) that could not be asked. */
function votersAre(wanted: readonly string[], known: readonly string[], deadline: number) {
  const wait = waitFor({
    what: 'the voters of etcd to be the servers',
    deadline,
    every: 2,
    script: sh`
hw_list=$(${hwMembers} yes) || { echo "etcd: $hw_list"; exit 1; }
hw_bad=
for hw_at in ${wanted}; do
  printf '%s\n' "$hw_list" | grep -q " $hw_at voter$" || hw_bad="$hw_bad$hw_at does not vote; "
done
hw_more=$(printf '%s\n' "$hw_list" | while read -r hw_id hw_name hw_at hw_role; do
  hw_known=
  for hw_one in ${known}; do [ "$hw_one" = "$hw_at" ] && hw_known=yes; done
  [ -n "$hw_known" ] || printf '%s at %s is no server of the inventory; ' "$hw_name" "$hw_at"
done)
[ -z "$hw_bad$hw_more" ] || { echo "$hw_bad$hw_more"; exit 1; }
printf '%s\n' "$hw_list" | while read -r hw_id hw_name hw_at hw_role; do printf '%s ' "$hw_name"; done; echo vote`,
  });
  const explain: typeof wait.explain = (failure) => {
    const said = wait.explain?.(failure);
    if (!said || !failure.stderr.includes('no server of the inventory')) return said;
    return {
      ...said,
      hint:
        'put that server into the inventory; or, if it is gone for good, stop k3s there and `k3s kubectl delete node NAME`, which ' +
        'removes its member too',
    };
  };
  return { ...wait, explain };
}
