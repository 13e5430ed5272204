/** The virtual IP of the API on a host: who has it, and handing it over before a planned stop. */
import { type Fact, fact, sh, shellFunction } from '../../engine/index.ts';
import { isInNetwork } from '../cluster/network.ts';

/** The label of kube-vip's pods, and the name of its DaemonSet (as upstream calls it). */
export const KUBE_VIP = 'kube-vip-ds';

/** `hw_has_vip ADDRESS`: has kube-vip put the address on this host? (Not on loopback: that is {@link hwHandOver}'s.) */
export const hwHasVip = shellFunction('hw_has_vip', `ip -4 -o addr show | grep -v ' lo ' | grep -qF " $1/"`);

/**
 * The label that keeps kube-vip off a node: set for the time of a planned restart. Deleting the pod alone would not do: it comes
 * back within a second and may win the lease again, and clients pay for every change of hands.
 */
export const AWAY = 'heartwood/vip-away';

/**
 * `hw_hand_over ADDRESS NODE`: where this host has the address, takes kube-vip off the node, which gives up its lease, and waits
 * until another host has the lease and the API answers at the address. Between the two nobody would have it, for up to two
 * seconds, so this host goes on answering for it meanwhile, from loopback; the kernel takes that away by itself, should we be
 * cut off.
 */
export const hwHandOver = shellFunction(
  'hw_hand_over',
  `
hw_has_vip "$1" || return 0
echo "handing $1 over"
ip addr add "$1/32" dev lo valid_lft 40 preferred_lft 40
hw_kubectl='/usr/local/bin/k3s kubectl'
$hw_kubectl label node "$2" ${AWAY}=yes --overwrite
hw_i=0
while [ $((hw_i += 1)) -le 30 ]; do
  hw_holder=$($hw_kubectl -n kube-system get lease plndr-cp-lock -o 'jsonpath={.spec.holderIdentity}')
  if [ -n "$hw_holder" ] && [ "$hw_holder" != "$2" ] && ! hw_has_vip "$1"; then
    # It has the lease; a moment later it has the address and has told the network.
    sleep 1
    ip addr del "$1/32" dev lo
    curl -sk -m 5 -o /dev/null "https://$1:6443/ping" && { echo "$hw_holder has $1"; return 0; }
  fi
  sleep 0.3
done
ip addr del "$1/32" dev lo 2>/dev/null
$hw_kubectl label node "$2" ${AWAY}-
echo "no other server took $1 over" >&2
return 1`,
  [hwHasVip],
);

/** `hw_take_part NODE`: lets kube-vip come back to the node, and waits for it: it is the next one's successor. */
export const hwTakePart = shellFunction(
  'hw_take_part',
  `
[ -n "$(/usr/local/bin/k3s kubectl get nodes -l ${AWAY} -o name 2>/dev/null)" ] || return 0
/usr/local/bin/k3s kubectl label node "$1" ${AWAY}- || return
/usr/local/bin/k3s kubectl -n kube-system rollout status daemonset/${KUBE_VIP} --timeout=60s | tail -n 1`,
);

/** Does this host have the address, and who answers for it on the network? */
export interface VipSight {
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
export function vipSight(address: string): Fact<VipSight> {
  return fact({
    name: 'virtual IP',
    script: sh`
if ${hwHasVip} ${address}; then echo holds; else
  { ping -c 1 -W 1 ${address} || timeout 1 bash -c ${`: </dev/tcp/${address}/6443`}; } >/dev/null 2>&1
  ip neigh show to ${address} | grep -v -e FAILED -e INCOMPLETE | sed -n 's/.*lladdr \\([^ ]*\\).*/answered \\1/p'
fi
ip -4 -o addr show | sed 's/^[0-9]*: \\([^ ]*\\) *inet \\([0-9.\\/]*\\).*/addr \\1 \\2/'
ip -4 route show default | sed -n 's/.* dev \\([^ ]*\\).*/default \\1/p' | head -n 1
cat /sys/class/net/*/address 2>/dev/null | sed 's/^/mac /'`,
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

function parseSight(address: string, output: string): VipSight {
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
