/**
 * The packet filter on the lab's bridge: cut links and dropped ports. It stands outside the hosts, so no firewall in a
 * host sees it or clears it, and it outlives their reboots.
 */
import { $ } from './local.ts';
import { switchName } from './names.ts';

/** The filter as it is made with the bridge; faults are elements of its sets. Names of bridge ports stand for hosts. */
export const emptyFilter = `table bridge lab {
  set cut { type ifname; }
  set dropped { type ifname . inet_proto . inet_service; }
  set dropped_from { type ifname . ifname . inet_proto . inet_service; }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname @cut drop
    oifname @cut drop
    oifname . meta l4proto . th dport @dropped drop
    iifname . oifname . meta l4proto . th dport @dropped_from drop
  }
}
`;

/** The bridge's port that the machine itself is behind. */
export const machinePort = 'uplink';

/** One dropped port: packets to `port` of the host behind `to`, from the host behind `from` or from everywhere. */
export interface DroppedPort {
  readonly from?: string | undefined;
  readonly to: string;
  readonly proto: 'tcp' | 'udp';
  readonly port: number;
}

/** Cuts the link behind a port of the bridge, or mends it. */
export async function setCut(lab: number, port: string, cut: boolean): Promise<void> {
  await change(lab, cut, `element bridge lab cut { "${port}" }`);
}

/** Drops what `dropped` says, from now on, also of connections that are open; or lets it through again. */
export async function setDropped(lab: number, dropped: DroppedPort, drop: boolean): Promise<void> {
  const { from, to, proto, port } = dropped;
  const element = `"${to}" . ${proto} . ${port}`;
  const line = from ? `dropped_from { "${from}" . ${element} }` : `dropped { ${element} }`;
  await change(lab, drop, `element bridge lab ${line}`);
}

/** The links that are cut and the ports that are dropped now. */
export async function filterState(lab: number): Promise<{ cut: string[]; dropped: DroppedPort[] }> {
  const { stdout, exitCode } = await $({
    nothrow: true,
  })`ip netns exec ${switchName(lab)} nft --json list table bridge lab`;
  if (exitCode !== 0) return { cut: [], dropped: [] }; // a lab that is half up, or half down
  const { nftables } = JSON.parse(stdout) as { nftables: { set?: NftSet }[] };
  const elements = (name: string) => nftables.find((item) => item.set?.name === name)?.set?.elem ?? [];
  const words = (name: string) =>
    elements(name).map((element) => (typeof element === 'string' ? [element] : element.concat));
  const dropped = [...words('dropped').map((word) => [undefined, ...word]), ...words('dropped_from')];
  return {
    cut: words('cut').flatMap(([port]) => (port === undefined ? [] : [String(port)])),
    dropped: dropped.map(([from, to, proto, port]) => ({
      from: from === undefined ? undefined : String(from),
      to: String(to),
      proto: proto === 'udp' ? 'udp' : 'tcp',
      port: Number(port),
    })),
  };
}

/** A set as `nft --json` prints it (libnftables-json(5)). */
interface NftSet {
  readonly name: string;
  readonly elem?: readonly (string | { readonly concat: readonly (string | number)[] })[];
}

/** Adds an element (again is harmless) or takes it out (missing is harmless). */
async function change(lab: number, add: boolean, element: string): Promise<void> {
  const commands = add ? `add ${element}\n` : `add ${element}\ndelete ${element}\n`;
  await $({ input: commands })`ip netns exec ${switchName(lab)} nft -f -`;
}
