/**
 * What the last words of a k3s that does not start mean. The first ten rows are those of a real k3s 1.36.2
 * (k3s-observed.md, "Joins that fail"; captures 17-19, 21, 26, 27, 34); the words are matched, not the exit code, since
 * failing etcd joins exit with 0.
 */
import type { Explanation } from '../../engine/index.ts';

/** One way to fail. */
export interface StartFailure {
  /** For tests and the reference: `wrong token`. */
  readonly name: string;
  /** An extended regular expression in the subset that JavaScript and `grep -E` read alike. */
  readonly pattern: string;
  /** Further lines that {@link what} reads, in the same subset: only lines that some pattern matches leave the host. */
  readonly details?: string;
  /** True where another try cannot help: waiting ends at once. k3s itself tries again every 5 s, for ever. */
  readonly permanent: boolean;
  /** The cause, as one sentence; gets what the pattern's groups matched. */
  what(groups: readonly string[], log: string): string;
  readonly hint: string;
}

/** What k3s says, at level=info, before it waits for ever on the data of a removed member. One more start rejoins. */
export const REJOIN = 'please restart k3s to rejoin the cluster';

/** Every known failure. The first that matches the log is meant. */
export const startFailures: readonly StartFailure[] = [
  {
    name: 'wrong token',
    pattern: 'failed to bootstrap cluster data: (failed to [^:]*: )*not authorized',
    permanent: true,
    what: () => 'the cluster refuses this host: its token is another one',
    hint:
      'leave k3s_token unset, so that the token is read from the cluster, or set it to the password in ' +
      '/var/lib/rancher/k3s/server/token of a running server; then run again',
  },
  {
    name: 'wrong CA',
    pattern: 'token CA hash does not match the Cluster CA certificate hash: ([0-9a-f]+) != ([0-9a-f]+)',
    permanent: true,
    what: ([ours, theirs]) =>
      `the token is of another cluster: it names the CA ${ours?.slice(0, 12)}..., the server has ${theirs?.slice(0, 12)}...`,
    hint:
      'is the host in the right inventory? Compare sha256sum /var/lib/rancher/k3s/server/tls/server-ca.crt on the servers; ' +
      'remove /etc/rancher/k3s/cluster-token on this host and run again',
  },
  {
    name: 'critical flags differ',
    pattern: 'critical configuration value mismatch between servers',
    details: 'critical configuration mismatched',
    permanent: true,
    what: (_, log) => {
      const flags = [...log.matchAll(/critical configuration mismatched: ([^"]+)/g)].map(([, names]) => names ?? '');
      const named = [...new Set(flags.map(flagOfMismatch))].join(', ') || 'a critical flag';
      return `this server's configuration differs from the cluster's in ${named}, which must be the same on all servers`;
    },
    hint: 'set it alike for all servers (k3s_config in group_vars, not in host_vars), then run again',
  },
  {
    name: 'another token encrypted the data',
    pattern: 'bootstrap data already found and encrypted with different token',
    permanent: true,
    what: () => 'the data on this server was encrypted with another token than the one it is started with',
    hint:
      'put the old token back (k3s_token), or leave k3s_token unset: /var/lib/rancher/k3s/server/token has the right one. To ' +
      'change a token use `k3s token rotate`',
  },
  {
    name: 'duplicate name',
    pattern: 'duplicate node name found',
    permanent: true,
    what: () => 'the cluster already has an etcd member by the name of this host, and this host does not have its data',
    hint:
      'if the host lost its disk: `k3s kubectl delete node NAME` on another server removes the member that is lost, then run ' +
      'again. If two hosts have the same name: give them different ones',
  },
  {
    name: 'node password',
    pattern: '[Nn]ode password rejected',
    permanent: true,
    what: () => 'the cluster knows another host by this name: the node password differs',
    hint:
      'if the host was installed anew: `k3s kubectl -n kube-system delete secret NAME.node-password-k3s` on a server, then run ' +
      'again. If two hosts have the same name: give them different ones',
  },
  {
    name: 'peers unreachable',
    pattern: 'cannot fetch cluster info from peer urls',
    details: 'dial tcp [0-9.]+:2380: ',
    permanent: false,
    what: (_, log) => {
      const peers = [...log.matchAll(/dial tcp ([0-9.]+:2380): (i\/o timeout|[a-z ]+)/g)].map(
        ([, peer, why]) => `${peer} (${why})`,
      );
      const named = [...new Set(peers)].join(', ');
      return `etcd on this host cannot reach its peers${named ? `: ${named}` : ''}`;
    },
    hint:
      '2379/tcp and 2380/tcp must be open between all servers, in both directions: run the firewall role (--tags firewall). The ' +
      'half-joined member it leaves blocks other joins; the next run removes it, or etcd does within 5 minutes',
  },
  {
    name: 'learner in the way',
    pattern: 'too many learner members in cluster',
    permanent: false,
    what: () => 'another server is half-joined, and etcd takes one new member at a time',
    hint: 'finish or stop the join of the other server; etcd drops a member that never came up after 5 minutes, then run again',
  },
  {
    name: 'removed member',
    pattern: REJOIN,
    permanent: false,
    what: () => 'this server was removed from etcd, and k3s must be started once more to rejoin',
    hint: 'run again: the next start of k3s moves the data of the removed member aside and joins anew',
  },
  {
    name: 'other cluster',
    pattern: 'cluster ID mismatch',
    permanent: false,
    what: () => 'the etcd data on this host belongs to another cluster than its peers',
    hint:
      'after a restore or cluster reset the other servers must drop their data: stop k3s here, move ' +
      '/var/lib/rancher/k3s/server/db away, and run again',
  },
  {
    name: 'bad etcd argument',
    pattern: 'start managed database: error unmarshaling JSON: ([^"]*)',
    permanent: true,
    what: ([why]) => `etcd does not understand an argument: ${why}`,
    hint: 'look at etcd-arg in k3s_config: durations are whole nanoseconds there (300000000, not 300ms)',
  },
  {
    name: 'reset flag',
    pattern: 'was previously reset, please remove the cluster-reset flag',
    permanent: true,
    what: () => 'k3s is started with cluster-reset, and the cluster has been reset already',
    hint: 'take cluster-reset out of config.yaml, its .d directory and the unit, then run again',
  },
  {
    name: 'unknown flag',
    pattern: 'flag provided but not defined: -+([A-Za-z0-9-]+)',
    permanent: true,
    what: ([flag]) => `k3s does not know the setting "${flag}"`,
    hint: 'look at k3s_config, and at /etc/rancher/k3s/config.yaml.d on the host: `k3s server --help` lists what there is',
  },
  {
    name: 'port taken',
    pattern: 'listen tcp ([^ ]*): bind: address already in use',
    permanent: false,
    what: ([address]) => `another program listens on ${address}`,
    hint: 'ss -ltnp shows which: stop it, or the other k3s that still runs here',
  },
  {
    name: 'no space',
    pattern: 'no space left on device',
    permanent: false,
    what: () => 'the disk is full',
    hint: 'df -h /var/lib/rancher /var/lib/kubelet; make room, then run again',
  },
  {
    name: 'server unreachable',
    pattern: 'failed to get CA certs: Get .?"(https:[A-Za-z0-9.:/-]*)[^ ]* (dial tcp )?([^"]*)',
    permanent: false,
    what: ([url, , why]) =>
      `the server ${(url ?? '').replace(/\/cacerts$/, '')} cannot be reached from this host: ${why}`,
    hint: '6443/tcp of the servers must be open to this host: run the firewall role (--tags firewall)',
  },
  {
    name: 'agent refused',
    // Not watched; from k3s's source (pkg/agent/config).
    pattern: 'agent config[^"]*(not authorized|401 Unauthorized)',
    permanent: false,
    what: () => 'the cluster refuses this agent: its token is another one',
    hint: 'remove /etc/rancher/k3s/cluster-token on this host, leave k3s_token unset, and run again',
  },
  {
    name: 'clock',
    pattern: 'certificate has expired or is not yet valid',
    permanent: false,
    what: () => "a certificate is not valid at this host's time: its clock is off, or the certificate has expired",
    hint: 'timedatectl; then `k3s certificate check`',
  },
  {
    name: 'missing cgroup',
    pattern: 'failed to find memory cgroup',
    permanent: true,
    what: () => 'the kernel has no memory cgroup',
    hint: 'add cgroup_memory=1 cgroup_enable=memory to the one line of cmdline.txt in /boot or /boot/firmware, and reboot',
  },
];

/** The flag that a mismatch means; of some, k3s names Go's own field. */
function flagOfMismatch(name: string): string {
  if (/^ClusterIPRange/.test(name)) return 'cluster-cidr';
  if (/^ServiceIPRange/.test(name)) return 'service-cidr';
  if (/^ClusterDNS/.test(name)) return 'cluster-dns';
  return name;
}

/** The cause and remedy in a unit's log, or undefined when it says nothing we know. */
export function explainStart(log: string): Explanation | undefined {
  // The latest words count: the reason of an earlier failure may be gone by now.
  let best: { at: number; failure: StartFailure; groups: readonly string[] } | undefined;
  for (const failure of startFailures) {
    for (const match of log.matchAll(new RegExp(failure.pattern, 'g'))) {
      if (!best || match.index > best.at)
        best = { at: match.index, failure, groups: match.slice(1).map((group) => group ?? '') };
    }
  }
  return best && { what: best.failure.what(best.groups, log), hint: best.failure.hint };
}

/** An extended regular expression of all failures. */
export const knownFailures = startFailures.map(({ pattern }) => pattern).join('|');

/**
 * An extended regular expression of the log lines that may say why a unit does not start. No other line leaves the
 * host.
 */
export const relevantLines = [
  knownFailures,
  ...startFailures.flatMap(({ details }) => details ?? []),
  'level=fatal',
  'Shutdown request received',
].join('|');

/** An extended regular expression of all permanent failures: where the log matches, the host stops waiting. */
export const permanentFailures = startFailures
  .filter(({ permanent }) => permanent)
  .map(({ pattern }) => pattern)
  .join('|');
