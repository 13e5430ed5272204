/**
 * The virtual IP of the API on a host: who has it, and who answers at it while its holder restarts.
 *
 * Moving the address for a restart costs clients more than the restart does: what is in flight at that moment is reset, since
 * the new holder knows nothing of those connections. So the address stays, and new connections to it are passed on to another
 * server from before the restart until after it. The kernel's connection tracking keeps each connection where it began: those
 * of before end here before k3s stops, those of the time between end there.
 */
import { type Fact, fact, Script, sh, shellFunction } from '../../engine/index.ts';
import { armRevert, disarmRevert } from '../../engine/resources/dead-man-revert.ts';
import { isInNetwork } from '../cluster/network.ts';
import { DATA, hwMembers, hwReady } from './etcd.ts';

/** The label of kube-vip's pods, and the name of its DaemonSet (as upstream calls it). */
export const KUBE_VIP = 'kube-vip-ds';

/** The lease by which kube-vip's pods agree who has the address: kube-vip's own default name. */
export const LEASE = 'plndr-cp-lock';

/** `hw_has_vip ADDRESS`: has kube-vip put the address on this host? (Not on loopback: that is {@link relayed}'s.) */
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
 * `hw_keep_lease NODE SERVER`: renews the lease on behalf of this node's kube-vip, which follows this node's own API and so
 * can't while k3s restarts. Should we be cut off, it runs out by itself, and another server takes the address as after any loss.
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

/** `hw_renews`: does kube-vip renew the lease by itself again, through this host's API? Times of ours end in .000000. */
const hwRenews = shellFunction(
  'hw_renews',
  `
hw_at=$(hw_lease 127.0.0.1 2>/dev/null | sed -n 's/.*"renewTime": *"\\([^"]*\\)".*/\\1/p')
case $hw_at in ''|*.000000Z) return 1 ;; esac`,
  [hwLease],
);

/** Where new connections to the address are sent on. A chain of its own, so that it goes without knowing where to. */
const CHAIN = 'HEARTWOOD-RELAY';

/** Rules of the relay, as `TABLE CHAIN MATCH`: those that send new connections on, and those that let them pass. */
const sends = (address: string) =>
  ['PREROUTING', 'OUTPUT'].map((chain) => `nat ${chain} -d ${address} -p tcp --dport 6443 -j ${CHAIN}`);
const lets = (address: string) => [
  `nat POSTROUTING -p tcp -m conntrack --ctstate DNAT --ctorigdst ${address} --ctorigdstport 6443 -j MASQUERADE`,
  `filter FORWARD -p tcp -m conntrack --ctstate DNAT --ctorigdst ${address} --ctorigdstport 6443 -j ACCEPT`,
];

const iptables = (verb: '-I' | '-D', rules: readonly string[]): string[] =>
  rules.map((rule) => rule.replace(/^(\S+) (\S+)/, `iptables -w -t $1 ${verb} $2`));

/** Seconds that connections have to end that are open when new ones begin to go elsewhere, or cease to. */
const DRAIN = 2;

/** Seconds that kube-vip has to be back after the restart, or another server to take the address where k3s is not. */
const SETTLE = 60;

/** Seconds between two announcements of the address by kube-vip (its vip_arpRate), and one more. */
const ANNOUNCE = 4;

/**
 * `restart`, a script that ends with 0 when k3s is ready again; where this host has the address, with another server answering
 * at it meanwhile. The host ends the relay by itself after `seconds`, should we be cut off.
 */
export function relayed(
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
    ...iptables('-I', [...lets(address), ...sends(address)]),
    `ip addr replace ${address}/32 dev lo valid_lft ${seconds} preferred_lft ${seconds}`,
  ];
  const off = [
    ...iptables('-D', sends(address)),
    `sleep ${DRAIN}`,
    ...iptables('-D', lets(address)),
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

/** Does this host have the address, and who answers for it on the network? */
export interface VipObservation {
  readonly holds: boolean;
  /** Interfaces on whose own network the address is. */
  readonly ifaces: readonly string[];
  /** The interface of the default route, which kube-vip takes when it is told none. */
  readonly defaultIface: string | undefined;
  /** The link address that answers for it, lower case; undefined where nobody does. */
  readonly answeredBy: string | undefined;
  /** This host's own link addresses. */
  readonly macs: readonly string[];
}

/** What a host sees of a virtual address. Any packet to it makes the kernel ask for its link address; the answer is kept. */
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
    parse: ({ stdout }) => parseSight(address, stdout),
    example: {
      holds: false,
      ifaces: ['eth0'],
      defaultIface: 'eth0',
      answeredBy: undefined,
      macs: ['02:00:00:00:00:01'],
    },
  });
}

function parseSight(address: string, output: string): VipObservation {
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
