/** Which programs listen on the ports that k3s needs. */
import { type Fact, fact, sh } from '../../engine/index.ts';
import type { NodeKind } from '../cluster/groups.ts';

/** A socket that somebody listens on. */
export interface Listener {
  readonly proto: 'tcp' | 'udp';
  readonly port: number;
  /** Name of the program; empty where it is not known. */
  readonly program: string;
}

/**
 * Every listener. From `ss`, with the programs' names; else from /proc, without. The kernel's own socket of a flannel
 * interface is left out: an earlier k3s left it, and the next one takes it over.
 */
export const listeners: Fact<readonly Listener[]> = fact({
  name: 'listening ports',
  script: sh`
if command -v ss >/dev/null; then ss -Hlntup
else
  for hw_proto in tcp tcp6 udp udp6; do
    [ ! -r /proc/net/$hw_proto ] || sed "1d;s/^/$hw_proto /" /proc/net/$hw_proto
  done
fi
if grep -q '^ *flannel[.-]' /proc/net/dev; then echo 'flannel is there'; fi`,
  parse: ({ stdout }) => {
    const found = stdout.split('\n').flatMap(parseListener);
    const ports = Object.values(FLANNEL_UDP);
    return /^flannel is there$/m.test(stdout)
      ? found.filter(({ proto, port, program }) => proto === 'tcp' || program !== '' || !ports.includes(port))
      : found;
  },
  example: [{ proto: 'tcp', port: 22, program: 'sshd' }],
});

/** States in /proc/net: LISTEN of TCP, and the only one of UDP sockets that are not connected. */
const LISTENING = { tcp: '0A', udp: '07' } as const;

function parseListener(line: string): readonly Listener[] {
  const [name = '', ...words] = line.trim().split(/\s+/);
  const proto = name.startsWith('udp') ? 'udp' : 'tcp';
  if (/^\d+:$/.test(words[0] ?? '')) {
    // tcp  0: 00000000:0016 00000000:0000 0A ...
    const port = Number.parseInt(words[1]?.split(':').at(-1) ?? '', 16);
    return words[3] === LISTENING[proto] ? [{ proto, port, program: '' }] : [];
  }
  // tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=50,fd=3))
  const port = Number(words[3]?.split(':').at(-1));
  const [, program = ''] = /users:\(\("([^"]+)"/.exec(line) ?? [];
  return Number.isInteger(port) ? [{ proto, port, program }] : [];
}

/** TCP ports that k3s listens on, as a real one was watched (k3s-observed.md): every node's, and a server's besides. */
const NODE_TCP = [6444, 10010, 10248, 10249, 10250, 10256];
const SERVER_TCP = [2379, 2380, 2381, 2382, 6443, 10257, 10258, 10259];
/** The port of flannel, by backend. */
const FLANNEL_UDP: Readonly<Record<string, number>> = { vxlan: 8472, 'wireguard-native': 51820 };

/** Those of `found` that stand where a node of this kind wants to listen. */
export function portsTaken(found: readonly Listener[], kind: NodeKind, flannelBackend: string): readonly Listener[] {
  const tcp = kind === 'server' ? [...NODE_TCP, ...SERVER_TCP] : NODE_TCP;
  const udp = FLANNEL_UDP[flannelBackend];
  const taken = found.filter(({ proto, port }) => (proto === 'tcp' ? tcp.includes(port) : port === udp));
  return taken.filter(
    (one, i) => taken.findIndex((other) => other.proto === one.proto && other.port === one.port) === i,
  );
}
