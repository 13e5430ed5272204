/** The virtual IP of the API on a host: who has it, and handing it over before a planned stop. */
import { type Fact, fact, sh, shellFunction } from '../../engine/index.ts';
import { isInNetwork } from '../cluster/network.ts';

/** The label of kube-vip's pods, and the name of its DaemonSet (as upstream calls it). */
export const KUBE_VIP = 'kube-vip-ds';

/** `hw_has_vip ADDRESS`: is the address on this host? */
export const hwHasVip = shellFunction('hw_has_vip', `ip -4 -o addr show | grep -qF " $1/"`);

/**
 * \`hw_hand_over ADDRESS NODE\`: where this host has the address, deletes its kube-vip pod, which gives up its lease, until another
 * host has it and the API answers there. The pod comes back at once and may win again, so it may take several tries. Clients
 * see a gap of about a second and no failed request (k3s-observed.md).
 */
export const hwHandOver = shellFunction(
  'hw_hand_over',
  `
hw_has_vip "$1" || return 0
for hw_try in 1 2 3 4 5 6 7 8; do
  echo "handing $1 over (try $hw_try)"
  /usr/local/bin/k3s kubectl -n kube-system delete pod -l app.kubernetes.io/name=${KUBE_VIP} --field-selector "spec.nodeName=$2" --wait=true --timeout=30s || return
  for hw_i in 1 2 3 4 5 6 7 8 9 10; do
    sleep 1
    hw_has_vip "$1" && continue 2
    [ $hw_i -ge 3 ] && curl -sk -m 3 -o /dev/null "https://$1:6443/ping" && { echo "another server has $1"; return 0; }
  done
done
echo "no other server took $1 over" >&2
return 1`,
  [hwHasVip],
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
