/**
 * The virtual IP of the API on a host: which host has it, and which one answers at it while that host restarts.
 *
 * Moving the address costs clients more than the restart does: the new holder does not know the open connections and
 * resets them. So the address stays. From before the restart until after it, new connections go on to another server.
 * The kernel's connection tracking keeps each connection where it began.
 */
import { type Fact, fact, Script, sh, shellFunction } from '../../engine/index.ts';
import { isInNetwork } from '../../engine/ip-address.ts';
import { armRevert, disarmRevert } from '../../engine/resources/dead-man-revert.ts';
import { DATA, hwMembers, hwReady } from './etcd.ts';

/** The label of kube-vip's pods, and the name of its DaemonSet (as upstream calls it). */
export const KUBE_VIP = 'kube-vip-ds';

/** The lease by which kube-vip's pods agree who has the address: kube-vip's own default name. */
export const LEASE = 'plndr-cp-lock';

/** `hw_has_vip ADDRESS`: has kube-vip put the address on this host? On loopback it is {@link withApiRelay}'s. */
export const hwHasVip = shellFunction('hw_has_vip', `ip -4 -o addr show | grep -v ' lo ' | grep -qF " $1/"`);

/** `hw_other_server IP`: prints the address of a server that is ready, not the one at IP. */
const hwOtherServer = shellFunction(
  'hw_other_server',
  `
for hw_at in $(hw_members yes | sed -n 's/^[0-9]* [^-][^ ]* \\([^ ]*\\) voter$/\\1/p'); do
  [ "$hw_at" = "$1" ] || { hw_ready "$hw_at" >/dev/null && { echo "$hw_at"; return; }; }
done
return 1`,
  [hwMembers, hwReady],
);

/** `hw_lease SERVER [CURL-OPTION...]`: kube-vip's lease as JSON, from the API of a server. */
const hwLease = shellFunction(
  'hw_lease',
  `
hw_tls=${DATA}/server/tls hw_api=$1; shift
curl -sS -f -m 3 --cacert "$hw_tls/server-ca.crt" --cert "$hw_tls/client-admin.crt" --key "$hw_tls/client-admin.key" "$@" "https://$hw_api:6443/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/${LEASE}"`,
);

/**
 * `hw_keep_lease NODE SERVER`: renews the lease for this node's kube-vip, which follows this node's API and cannot do
 * it while k3s restarts. Where we are cut off, the lease runs out, and another server takes the address as after any
 * loss.
 */
const hwKeepLease = shellFunction(
  'hw_keep_lease',
  `
while :; do
  hw_lease "$2" -X PATCH -H 'Content-Type: application/json-patch+json' -d '[
{"op":"test","path":"/spec/holderIdentity","value":"'"$1"'"},
{"op":"replace","path":"/spec/renewTime","value":"'"$(date -u +%Y-%m-%dT%H:%M:%S).000000Z"'"}]'
  sleep 1
done`,
  [hwLease],
);

/** `hw_renews`: does kube-vip renew the lease again, through this host's API? Times that we wrote end in .000000. */
const hwRenews = shellFunction(
  'hw_renews',
  `
hw_at=$(hw_lease 127.0.0.1 2>/dev/null | sed -n 's/.*"renewTime": *"\\([^"]*\\)".*/\\1/p')
case $hw_at in ''|*.000000Z) return 1 ;; esac`,
  [hwLease],
);

/** The chain that sends new connections on. It can be removed without knowing where they go. */
const CHAIN = 'HEARTWOOD-RELAY';

/**
 * Rules of the relay, as `TABLE CHAIN MATCH`: {@link redirectRules} send new connections on, {@link allowRules} let
 * them pass.
 */
const redirectRules = (address: string) =>
  ['PREROUTING', 'OUTPUT'].map((chain) => `nat ${chain} -d ${address} -p tcp --dport 6443 -j ${CHAIN}`);
const allowRules = (address: string) => [
  `nat POSTROUTING -p tcp -m conntrack --ctstate DNAT --ctorigdst ${address} --ctorigdstport 6443 -j MASQUERADE`,
  `filter FORWARD -p tcp -m conntrack --ctstate DNAT --ctorigdst ${address} --ctorigdstport 6443 -j ACCEPT`,
];

const iptables = (verb: '-I' | '-D', rules: readonly string[]): string[] =>
  rules.map((rule) => rule.replace(/^(\S+) (\S+)/, `iptables -w -t $1 ${verb} $2`));

/** Seconds for open connections to end, after new ones go elsewhere and again after they come back. */
const DRAIN = 2;

/** Seconds for kube-vip to be back after the restart; where k3s is not back, for another server to take the address. */
const SETTLE = 60;

/** Seconds between two announcements of the address by kube-vip (its vip_arpRate), and one more. */
const ANNOUNCE = 4;

/**
 * Runs `restart`, which ends with 0 when k3s is ready again. Where this host has the address, another server answers at
 * it meanwhile. Where we are cut off, the host ends the relay by itself after `seconds`.
 */
export function withApiRelay(
  address: string,
  self: { readonly node: string; readonly ip: string },
  seconds: number,
  restart: Script,
): Script {
  const id = `relay ${address}`;
  // On loopback too, since kube-vip takes its own away when k3s takes long. The kernel answers for it on the network.
  const on = [
    `iptables -w -t nat -N ${CHAIN}`,
    `iptables -w -t nat -A ${CHAIN} -p tcp -j DNAT --to-destination "$hw_to:6443"`,
    ...iptables('-I', [...allowRules(address), ...redirectRules(address)]),
    `ip addr replace ${address}/32 dev lo valid_lft ${seconds} preferred_lft ${seconds}`,
  ];
  const off = [
    ...iptables('-D', redirectRules(address)),
    `sleep ${DRAIN}`,
    ...iptables('-D', allowRules(address)),
    `iptables -w -t nat -F ${CHAIN}`,
    `iptables -w -t nat -X ${CHAIN}`,
    `ip addr del ${address}/32 dev lo`,
  ];
  return sh`
PATH=$PATH:${DATA}/data/current/bin/aux hw_to=
hw_relay_on() {
  ${Script.raw(on.join(' &&\n  '))} || { hw_relay_off; return 1; }
}
hw_relay_off() {
  ${Script.raw(off.join('\n  '))}
} 2>/dev/null
if ${hwHasVip} ${address}; then
  hw_to=$(${hwOtherServer} ${self.ip}) || { echo ${`no other server is ready to answer at ${address}`} >&2; exit 1; }
  # Left over from a run that was cut off.
  ! iptables -w -t nat -n -L ${CHAIN} >/dev/null 2>&1 || hw_relay_off
  ${armRevert(id, seconds, Script.raw(off.join('; ')), sh`hw_relay_on`)}
  echo ${address} "stays; new connections to it go on to $hw_to"
  ${hwKeepLease} ${self.node} "$hw_to" >/dev/null 2>&1 &
  hw_renewer=$!
  sleep ${DRAIN}
fi
( ${restart}
)
hw_rc=$?
[ -n "$hw_to" ] || exit $hw_rc
hw_settled() {
  if [ $hw_rc = 0 ]; then ${hwRenews} && ${hwHasVip} ${address}
  else hw_text=$(${hwLease} "$hw_to" 2>/dev/null) && ! printf '%s' "$hw_text" | grep -q ${`"holderIdentity": *"${self.node}"`}; fi
}
[ $hw_rc = 0 ] || kill "$hw_renewer"
[ $hw_rc = 0 ] && hw_for='kube-vip to hold it by itself again' || hw_for='another server to take it'
hw_i=0
until hw_settled || [ $((hw_i += 1)) -gt ${SETTLE} ]; do [ $hw_i -gt 1 ] || echo ${address} "waits for $hw_for"; sleep 1; done
kill "$hw_renewer" 2>/dev/null
# The new holder of the lease tells the network that it has the address within another moment.
[ $hw_rc = 0 ] || sleep ${ANNOUNCE}
hw_relay_off
${disarmRevert(id)}
exit $hw_rc`;
}

/** What a host sees of the virtual address. */
export interface VipObservation {
  readonly holds: boolean;
  /** Interfaces on whose own network the address is. */
  readonly ifaces: readonly string[];
  /** The interface of the default route, which kube-vip takes by default. */
  readonly defaultIface: string | undefined;
  /** The link address that answers for it, lower case; undefined where nobody does. */
  readonly answeredBy: string | undefined;
  /** This host's own link addresses. */
  readonly macs: readonly string[];
}

/**
 * Observes a virtual address. Any packet to it makes the kernel look up its link address; the answer is read
 * afterwards.
 */
export function vipObservation(address: string): Fact<VipObservation> {
  return fact({
    name: 'virtual IP',
    script: sh`
if ${hwHasVip} ${address}; then echo holds; else
  { ping -c 1 -W 1 ${address} || timeout 1 bash -c ${`: </dev/tcp/${address}/6443`}; } >/dev/null 2>&1
  ip neigh show to ${address} | grep -v -e FAILED -e INCOMPLETE | sed -n 's/.*lladdr \\([^ ]*\\).*/answered \\1/p'
fi
ip -4 -o addr show | sed 's/^[0-9]*: \\([^ ]*\\) *inet \\([0-9.\\/]*\\).*/addr \\1 \\2/'
ip -4 route show default | sed -n 's/.* dev \\([^ ]*\\).*/default \\1/p' | head -n 1
ip -o link show | sed -n 's,.*link/ether \\([^ ]*\\).*,mac \\1,p'`,
    parse: ({ stdout }) => parseObservation(address, stdout),
    example: {
      holds: false,
      ifaces: ['eth0'],
      defaultIface: 'eth0',
      answeredBy: undefined,
      macs: ['02:00:00:00:00:01'],
    },
  });
}

function parseObservation(address: string, output: string): VipObservation {
  const lines = output.split('\n').map((line) => line.split(' '));
  const after = (word: string): string | undefined => lines.find(([kind]) => kind === word)?.[1];
  const ifaces = lines.flatMap(([kind, iface = '', cidr = '']) =>
    kind === 'addr' && iface !== 'lo' && !cidr.endsWith('/32') && cidr.includes('/') && isInNetwork(address, cidr)
      ? [iface]
      : [],
  );
  return {
    holds: lines.some(([kind]) => kind === 'holds'),
    ifaces: [...new Set(ifaces)],
    defaultIface: after('default'),
    answeredBy: after('answered')?.toLowerCase(),
    macs: lines.flatMap(([kind, mac = '']) =>
      kind === 'mac' && mac !== '00:00:00:00:00:00' ? [mac.toLowerCase()] : [],
    ),
  };
}
