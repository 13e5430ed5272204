/** The last words of a k3s that does not start, as a real v1.36.2+k3s1 said them, and what we make of them. */
import { execFileSync } from 'node:child_process';
import t from 'tap';
import { explainStart, permanentFailures, relevantLines, startFailures } from '../../roles/k3s/failures.ts';

/**
 * What k3s said (k3s-captures 17, 18, 19, 21, 26, 27, 28, 34, 71), the failure that is meant, words of the cause we
 * name.
 */
const captured: readonly (readonly [name: string, log: string, cause: RegExp])[] = [
  [
    'wrong token',
    'time="2026-11-21T04:29:37Z" level=fatal msg="Error: preparing server: failed to bootstrap cluster data: not authorized"',
    /its token is another one/,
  ],
  [
    'wrong CA',
    'time="2026-11-21T04:29:37Z" level=fatal msg="Error: preparing server: failed to bootstrap cluster data: failed to check if bootstrap data has been initialized: failed to validate token: token CA hash does not match the Cluster CA certificate hash: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa != 0d4bd390f130c8b28ad3e668cab8312fd1bda499e63bfda7be0175fc7e52082b"',
    /names the CA aaaaaaaaaaaa\.\.\., the server has 0d4bd390f130/,
  ],
  [
    'critical flags differ',
    'time="2026-11-21T04:29:45Z" level=warning msg="critical configuration mismatched: disable-network-policy"\ntime="2026-11-21T04:29:45Z" level=fatal msg="Error: preparing server: failed to bootstrap cluster data: failed to validate server configuration: critical configuration value mismatch between servers"',
    /differs from the cluster's in disable-network-policy,/,
  ],
  [
    'critical flags differ',
    'time="2026-11-21T04:29:46Z" level=warning msg="critical configuration mismatched: ClusterIPRange.IP.slice[13]"\ntime="2026-11-21T04:29:46Z" level=fatal msg="Error: preparing server: failed to bootstrap cluster data: failed to validate server configuration: critical configuration value mismatch between servers"',
    /in cluster-cidr,/,
  ],
  [
    'another token encrypted the data',
    'time="2026-11-21T04:43:30Z" level=fatal msg="Error: preparing server: failed to bootstrap cluster data: failed to reconcile with local datastore: bootstrap data already found and encrypted with different token"',
    /encrypted with another token/,
  ],
  [
    'duplicate name',
    'time="2026-11-21T04:44:02Z" level=error msg="Shutdown request received: \\"etcd cluster join failed: duplicate node name found, please use a unique name for this node\\""',
    /does not have its data/,
  ],
  [
    'peers unreachable',
    '{"level":"warn","ts":"2026-11-21T04:30:51.118625Z","caller":"etcdserver/cluster_util.go:86","msg":"failed to get cluster response","address":"https://10.89.7.12:2380/members","error":"Get \\"https://10.89.7.12:2380/members\\": dial tcp 10.89.7.12:2380: i/o timeout"}\ntime="2026-11-21T04:30:57Z" level=error msg="Shutdown request received: \\"etcd cluster join failed: cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs\\""',
    /cannot reach its peers: 10\.89\.7\.12:2380 \(i\/o timeout\)/,
  ],
  [
    'learner in the way',
    'time="2026-11-21T04:32:22Z" level=info msg="Waiting for other members to finish joining etcd cluster: etcdserver: too many learner members in cluster"',
    /half-joined/,
  ],
  [
    'bad etcd argument',
    'time="2026-11-21T04:48:36Z" level=fatal msg="Error: starting kubernetes: failed to start cluster: start managed database: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal string into Go struct field',
    /cannot unmarshal string/,
  ],
  [
    'reset flag',
    'time="2026-11-21T04:31:40Z" level=fatal msg="Error: starting kubernetes: failed to start cluster: start managed database: Managed etcd cluster membership was previously reset, please remove the cluster-reset flag and start k3s normally."',
    /reset already/,
  ],
  [
    'port taken',
    'time="2026-11-21T04:31:33Z" level=fatal msg="Error: listen tcp 127.0.0.1:6444: bind: address already in use"',
    /listens on 127\.0\.0\.1:6444/,
  ],
  [
    'server unreachable',
    'time="2026-11-21T04:29:44Z" level=fatal msg="Error: preparing server: failed to bootstrap cluster data: failed to check if bootstrap data has been initialized: failed to validate token: failed to get CA certs: Get \\"https://k3h5:6443/cacerts\\": dial tcp 10.89.7.15:6443: connect: no route to host"',
    /https:\/\/k3h5:6443 cannot be reached from this host: 10\.89\.7\.15:6443: connect: no route to host/,
  ],
  [
    'removed member',
    'time="2026-11-29T21:27:50Z" level=info msg="This node has been removed from the cluster - please restart k3s to rejoin the cluster"',
    /removed from etcd, and k3s must be started once more/,
  ],
  [
    'other cluster',
    '{"level":"warn","ts":"2026-11-21T04:40:25.096422Z","caller":"rafthttp/stream.go:652","msg":"request sent was ignored by remote peer due to cluster ID mismatch","remote-peer-id":"5f860626a1f51781"}',
    /another cluster/,
  ],
];

t.test('every captured failure is recognised, with its cause and a remedy', async (t) => {
  for (const [name, log, cause] of captured) {
    const failure = startFailures.find((candidate) => candidate.name === name);
    const explained = explainStart(log);
    t.match(explained?.what, cause, name);
    t.equal(explained?.hint, failure?.hint, `${name}: the remedy`);
  }
});

t.test('grep -E on the host and RegExp here agree on every captured failure', async (t) => {
  for (const [name, log] of captured) {
    const failure = startFailures.find((candidate) => candidate.name === name);
    const found = execFileSync('grep', ['-c', '-E', failure?.pattern ?? '$^'], { input: log, encoding: 'utf8' });
    t.not(Number(found), 0, name);
  }
  for (const { name, pattern } of startFailures) {
    t.doesNotThrow(() => new RegExp(pattern), `${name}: a RegExp`);
  }
});

t.test('what leaves the host of a log is enough to say the cause', async (t) => {
  for (const [name, log, cause] of captured) {
    const left = execFileSync('grep', ['-E', relevantLines], { input: log, encoding: 'utf8' });
    t.match(explainStart(left)?.what, cause, name);
  }
});

t.test('the wait ends at once on what time does not mend, and on nothing else', async (t) => {
  for (const [name, log] of captured) {
    const permanent = startFailures.find((candidate) => candidate.name === name)?.permanent;
    t.equal(new RegExp(permanentFailures).test(log), permanent, name);
  }
});

t.test('of several failures the last is meant: what came before may be mended by now', async (t) => {
  const [token, , , , , , peers] = captured.map(([, log]) => log);
  t.match(explainStart(`${token}\n${peers}`)?.what, /cannot reach its peers/);
  t.match(explainStart(`${peers}\n${token}`)?.what, /token is another one/);
});

t.test('words nobody knows are not explained', async (t) => {
  t.equal(explainStart('time="2026-11-21T04:29:37Z" level=info msg="Starting k3s v1.36.2+k3s1 (af977adf)"'), undefined);
});
