/** A host's addresses and routes, how our own connection came in, and from these the address its peers use. */
import { isIPv4 } from 'node:net';
import { type Fact, fact, type HostView, sh, shellFunction, UserError } from '../../engine/index.ts';

/** One IPv4 address of an interface. */
export interface InterfaceAddress {
  readonly iface: string;
  readonly address: string;
  /** Length of its network: 24. 32 for an address that is moved about, such as a virtual IP. */
  readonly prefix: number;
}

/** A connection as sshd sees it: after any address translation on the way. */
export interface SshConnection {
  readonly client: string;
  readonly clientPort: number;
  readonly server: string;
  /** The port sshd itself listens on; `ansible_port` differs from it where a router maps ports. */
  readonly serverPort: number;
}

/** What {@link network} finds. */
export interface Network {
  /** IPv4 addresses, loopback's left out, in the kernel's order. */
  readonly addresses: readonly InterfaceAddress[];
  /** Where packets for elsewhere go; the first of several by metric. Undefined without a default route. */
  readonly defaultRoute: { readonly iface: string; readonly source: string | undefined } | undefined;
  /** Global IPv6 addresses. */
  readonly ipv6: readonly string[];
  /** How this session came in; undefined for the local transport. */
  readonly ssh: SshConnection | undefined;
}

/**
 * `hw_ssh_connection`: prints SSH_CONNECTION of the login that this shell descends from. sudo drops the variable, so it
 * is read from the environment of the processes above.
 */
const sshConnection = shellFunction(
  'hw_ssh_connection',
  `
hw_pid=$$
while [ "\${hw_pid:-0}" -gt 1 ]; do
  hw_found=$(tr '\\0' '\\n' 2>/dev/null <"/proc/$hw_pid/environ" | sed -n 's/^SSH_CONNECTION=//p')
  if [ -n "$hw_found" ]; then printf 'ssh %s\\n' "$hw_found"; return; fi
  hw_pid=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$hw_pid/status" 2>/dev/null)
done`,
);

/** Addresses, default route and SSH connection of a host. Needs `ip`, iproute2's or busybox's. */
export const network: Fact<Network> = fact({
  name: 'network',
  script: sh`
if ! command -v ip >/dev/null; then
  echo 'there is no "ip" command: install iproute2' >&2; exit 1
fi
ip -4 -o addr show | sed 's/^/addr /'
ip -6 -o addr show 2>/dev/null | sed 's/^/addr /'
ip -4 route show default | sed 's/^/route /'
${sshConnection}`,
  parse: ({ stdout, stderr, exitCode }) => {
    if (stdout === '') throw new Error(stderr.trim() || `no address at all (exit code ${exitCode})`);
    return parseNetwork(stdout);
  },
  example: {
    addresses: [{ iface: 'eth0', address: '192.0.2.11', prefix: 24 }],
    defaultRoute: { iface: 'eth0', source: undefined },
    ipv6: [],
    ssh: { client: '192.0.2.1', clientPort: 50000, server: '192.0.2.11', serverPort: 22 },
  },
});

function parseNetwork(output: string): Network {
  const addresses: InterfaceAddress[] = [];
  const ipv6: string[] = [];
  const routes: { iface: string; source: string | undefined; metric: number }[] = [];
  let ssh: SshConnection | undefined;
  for (const line of output.split('\n')) {
    const [kind, ...words] = line.trim().split(/\s+/);
    const after = (word: string): string | undefined => words[words.indexOf(word) + 1 || words.length];
    if (kind === 'addr') {
      // 2: eth0    inet 192.0.2.11/24 brd 192.0.2.255 scope global eth0
      const iface = (words[1] ?? '').replace(/[:@].*$/, '');
      const [address = '', prefix = '32'] = (after('inet') ?? '').split('/');
      if (words.includes('inet') && iface !== 'lo') addresses.push({ iface, address, prefix: Number(prefix) });
      if (words.includes('inet6') && after('scope') === 'global') ipv6.push((after('inet6') ?? '').replace(/\/.*/, ''));
    } else if (kind === 'route') {
      const iface = after('dev');
      if (iface) routes.push({ iface, source: after('src'), metric: Number(after('metric') ?? 0) });
    } else if (kind === 'ssh') {
      const [client = '', clientPort, server = '', serverPort] = words;
      ssh = { client, clientPort: Number(clientPort), server, serverPort: Number(serverPort) };
    }
  }
  const [first] = routes.sort((a, b) => a.metric - b.metric);
  return { addresses, ipv6, ssh, defaultRoute: first && { iface: first.iface, source: first.source } };
}

/**
 * The address of a host that its peers use, the first of these that there is:
 *
 * 1. `node_ip`.
 * 2. `ansible_host`, where the host has that address on a network, or on the interface of the default route.
 * 3. The address of the default route's interface, as k3s itself chooses. One of /32 (a virtual IP may be there just
 *    now) is taken only where there is no other.
 * 4. The address our connection came in by.
 *
 * @throws UserError when there is none.
 */
export function nodeIp(host: HostView, found: Network): string {
  const set = host.var('node_ip');
  if (typeof set === 'string') return set;
  const { defaultRoute, addresses, ssh } = found;
  const onRoute = addresses.filter(({ iface }) => iface === defaultRoute?.iface);
  const named = addresses.find(({ address }) => address === host.address);
  const chosen =
    (named && (named.prefix < 32 || onRoute.includes(named)) ? named.address : undefined) ??
    defaultRoute?.source ??
    (onRoute.find(({ prefix }) => prefix < 32) ?? onRoute[0])?.address ??
    addresses.find(({ address }) => address === ssh?.server || address === host.address)?.address;
  if (chosen) return chosen;
  throw new UserError({
    what: 'no address found that its peers could use: there is no default route',
    host: host.name,
    expected: addresses.map(({ address, iface }) => `${address} (${iface})`).join(', ') || 'an IPv4 address',
    hint: `node_ip: <one of them> in host_vars/${host.name}.yml`,
  });
}

/**
 * The address that is known of a host before any fact: `node_ip`, else `ansible_host`, else its name. For questions
 * that name an address, which have to be put before any answer is there. {@link nodeIp} is the one to configure with.
 */
export function knownAddress(host: HostView): string {
  const set = host.var('node_ip');
  return typeof set === 'string' ? set : host.address;
}

/**
 * The addresses of `hosts`, by name, from what each answered. A host that could not be asked counts with its `node_ip`,
 * or with `ansible_host` where this is an address; without either it is missing.
 */
export function nodeIps(
  hosts: readonly HostView[],
  networks: ReadonlyMap<string, Network>,
): ReadonlyMap<string, string> {
  const ips = new Map<string, string>();
  for (const host of hosts) {
    const found = networks.get(host.name);
    const set = host.var('node_ip');
    if (found) ips.set(host.name, nodeIp(host, found));
    else if (typeof set === 'string') ips.set(host.name, set);
    else if (isIPv4(host.address)) ips.set(host.name, host.address);
  }
  return ips;
}

/** Which of a host's addresses its packets to another one come from. */
export interface SourceAddress {
  readonly destination: string;
  /** Undefined where there is no route. */
  readonly source: string | undefined;
}

/**
 * Where a host's packets to `peers` would come from, by its own routing. A peer that the inventory knows by a name only
 * is looked up on the host; one that cannot be found there is left out.
 */
export function sourceAddresses(peers: readonly HostView[]): Fact<readonly SourceAddress[]> {
  return fact({
    name: 'source addresses',
    script: sh`
for hw_peer in ${peers.map(knownAddress)}; do
  case $hw_peer in
    *[!0-9.]*) hw_peer=$(getent ahostsv4 "$hw_peer" 2>/dev/null | sed -n '1s/ .*//p') ;;
  esac
  [ -z "$hw_peer" ] || echo "$hw_peer $(ip -4 route get "$hw_peer" 2>/dev/null | sed -n 's/.* src \\([0-9.]*\\).*/\\1/p')"
done`,
    parse: ({ stdout }) =>
      stdout.split('\n').flatMap((line) => {
        const [destination = '', source = ''] = line.split(' ');
        return destination === '' ? [] : [{ destination, source: source || undefined }];
      }),
    example: [],
  });
}
