/**
 * Three k3s servers that are well: what a start says and writes, who may ask what, what the cluster keeps of its nodes,
 * manifests, snapshots and pods. The tests follow on each other, on one lab; lab/k3s/README.md says what was seen where.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { connect } from 'node:tls';
import t from 'tap';
import type { LabHost } from '../../../lab/host.ts';
import { kubectl, members, readyNodes, voters } from '../../support/cluster.ts';
import { configure, isStandIn, journal, putImages, putK3s, SERVER, startK3s, TOKEN } from '../../support/k3s.ts';
import { useLab } from '../../support/lab.ts';
import { until } from '../../support/until.ts';

const NAMES = ['server-1', 'server-2', 'server-3'];
const DATA = '/var/lib/rancher/k3s';
const SAN = 'k3s.lab';

const lab = await useLab(t, { k3s: true, hosts: NAMES.map((name) => ({ name })) });
const [one, two, three] = [lab.host('server-1'), lab.host('server-2'), lab.host('server-3')];
const servers = [one, two, three];

/** What all servers are told here. */
const settings = { ...SERVER, 'tls-san': [SAN, lab.vip] };
const joining = { server: 'https://server-1:6443', ...settings };

const words = (text: string): string[] => text.trim().split(/\s+/);

await Promise.all(servers.map((host) => putK3s(lab, host)));
const standIn = await isStandIn(one);
const onlyOurs = standIn ? false : 'it is the real k3s';

t.test('an unknown flag is refused, and so is what only servers know in the config of an agent', async (t) => {
  await configure(one, { 'cluster-init': true, ...settings });
  const flag = await one.exec('timeout 20 k3s server --no-such-flag 2>&1');
  t.equal(flag.code, 1);
  t.match(flag.stdout, 'flag provided but not defined: -no-such-flag');
  const agent = await one.exec('timeout 20 k3s agent 2>&1');
  t.equal(agent.code, 1);
  t.match(agent.stdout, 'flag provided but not defined: -');
});

t.test('a flag that the stand-in does not carry out is refused by its name', { skip: onlyOurs }, async (t) => {
  await configure(one, { ...SERVER, 'cluster-init': true, 'secrets-encryption': true });
  const { code, stdout } = await one.exec('timeout 20 k3s server 2>&1');
  t.equal(code, 1);
  t.match(stdout, /level=fatal msg="Error: .*the k3s stand-in does not carry out --secrets-encryption/);
});

t.test('a first server is refused, starting, without an API and only then ready', async (t) => {
  await putImages(lab, one, '.tar.zst');
  await configure(one, { 'cluster-init': true, ...settings, 'no-such-key': 1 });
  // One client asks without a pause for the first answer of all, which is given for some milliseconds only; one a path
  // asks forty times a second while systemctl waits.
  const started = await one.exec(`url=https://127.0.0.1:6443
{ curl -skN "$url/ping?[1-9999999]" & echo $! > /run/pid; wait; } | { grep -m 1 -E 'message|pong' > /run/first; kill $(cat /run/pid); } &
for path in ping readyz; do
  curl -skN --rate 40/s -w '\\n%{http_code}\\n' "$url/$path?[1-9999]" > /run/$path &
  clients="$clients $!"
done
systemctl start k3s; code=$?
kill $clients; exit $code`);
  t.equal(started.code, 0, started.stderr);
  t.match(await kubectl(one, 'get --raw /readyz'), /^ok$/, 'ready when systemctl says so');
  const seen = async (path: string) => {
    const answers = new Set<string>();
    let message = '';
    for (const line of (await one.read(`cat /run/${path}`)).split('\n')) {
      message = /"message": *"(.*)"/.exec(line)?.[1] ?? message;
      if (!/^\d{3}$/.test(line)) continue;
      answers.add(`${line} ${message}`.trim());
      message = '';
    }
    return [...answers];
  };
  t.match(await one.read('cat /run/first'), /"message": "starting"/);
  const later = (answers: readonly string[]) => answers.filter((answer) => answer !== '503 starting');
  t.strictSame(later(await seen('ping')), ['000', '200']);
  t.strictSame(later(await seen('readyz')), ['000', '503 apiserver not ready', '401 Unauthorized']);
});

t.test('a start says in order what it does, and is up and running last', async (t) => {
  const log = await journal(one);
  const said = [
    'Unknown flag --no-such-key found in config.yaml, skipping',
    'Starting k3s v1.36.2+k3s1 (',
    'Managed etcd cluster initializing',
    'Starting etcd for new cluster, cluster-reset=false',
    'Server node token is available at /var/lib/rancher/k3s/server/token',
    'Wrote kubeconfig /etc/rancher/k3s/k3s.yaml',
    'Run: k3s kubectl',
    'Connection to etcd is ready',
    'ETCD server is now running',
    'Saving cluster bootstrap data to datastore',
    'Kube API server is now running',
    'k3s is up and running',
    'Started k3s.service',
  ];
  t.strictSame(
    said.filter((words) => !log.includes(words)),
    [],
    'everything is said',
  );
  const places = said.map((words) => log.indexOf(words));
  t.strictSame(
    places,
    [...places].sort((a, b) => a - b),
  );
});

t.test(
  'two servers that join at once both come in; only one is a learner at a time, the other says why it waits',
  async (t) => {
    // One by the bare secret, the other by the whole token, from a file.
    await Promise.all([putImages(lab, two, '.tar'), putImages(lab, three, '.tar.gz')]);
    await configure(two, joining);
    const { token: _, ...others } = joining;
    const token = await one.read(`cat ${DATA}/server/node-token`);
    await configure(three, { ...others, 'token-file': '/etc/rancher/k3s/token' });
    await three.read(`umask 077; echo ${token} > /etc/rancher/k3s/token`);
    const starts = await Promise.all([startK3s(two), startK3s(three)]);
    for (const { code, stderr } of starts) t.equal(code, 0, stderr);
    t.strictSame(await voters(one), NAMES);
    const logs = await Promise.all([journal(two), journal(three)]);
    for (const [index, log] of logs.entries()) {
      t.match(
        log,
        /Adding member server-\d-[0-9a-f]{8}=https:\/\/[\d.]+:2380 to etcd cluster \[.*server-1-[0-9a-f]{8}=/,
      );
      const warns = log.includes('Cluster CA certificate is not trusted by the host CA bundle, but the token does not');
      t.equal(warns, index === 0, 'a token without a hash warns');
    }
    t.match(
      logs.join(''),
      'Waiting for other members to finish joining etcd cluster: etcdserver: too many learner members in cluster',
    );
  },
);

t.test('tokens and passwords are kept in the forms that a cluster hands out', async (t) => {
  const hash = (await one.read(`sha256sum ${DATA}/server/tls/server-ca.crt`)).slice(0, 64);
  for (const host of servers) {
    for (const name of ['token', 'node-token', 'agent-token']) {
      t.equal(await host.read(`cat ${DATA}/server/${name}`), `K10${hash}::server:${TOKEN}`, `${host.name} ${name}`);
    }
    t.equal(
      await host.read(`cd ${DATA}/server && readlink node-token agent-token`),
      `${DATA}/server/token\n${DATA}/server/token`,
    );
    const passwords = (await host.read(`cat ${DATA}/server/cred/passwd`)).split('\n').sort();
    t.strictSame(passwords, [`${TOKEN},node,node,k3s:agent`, `${TOKEN},server,server,k3s:server`]);
    t.match((await host.exec('cat /etc/rancher/node/password')).stdout, /^[0-9a-f]{32}\n$/);
    t.match(await host.read('cat /etc/rancher/k3s/k3s.yaml'), /^ {4}server: https:\/\/127\.0\.0\.1:6443$/m);
  }
  t.equal(await one.read(`wc -c < ${DATA}/server/cred/ipsec.psk`), '97');
});

/** Every file and directory of a server by its mode; of a certificate the key and the certificate itself. */
const MODES: Readonly<Record<string, string>> = {
  755: `. agent agent/etc agent/etc/cni agent/etc/containerd agent/etc/flannel agent/images data data/cni server/tls/etcd
    server/tls/kube-controller-manager server/tls/kube-scheduler /etc/rancher /etc/rancher/k3s /etc/rancher/node`,
  750: 'agent/pod-manifests',
  700: `agent/etc/cni/net.d agent/etc/kubelet.conf.d server server/cred server/db server/db/etcd server/db/etcd/member
    server/db/snapshots server/etc server/manifests server/tls server/tls/temporary-certs`,
  644: `agent/etc/cni/net.d/10-flannel.conflist agent/etc/containerd/config.toml agent/etc/flannel/net-conf.json
    server/tls/client-ca.nochain.crt server/tls/server-ca.nochain.crt`,
  600: `agent/client-ca.crt agent/server-ca.crt agent/etc/kubelet.conf.d/00-k3s-defaults.conf agent/k3scontroller.kubeconfig
    agent/kubelet.kubeconfig agent/kubeproxy.kubeconfig agent/client-k3s-controller.crt agent/client-k3s-controller.key
    agent/client-kube-proxy.crt agent/client-kube-proxy.key agent/client-kubelet.crt agent/client-kubelet.key
    agent/serving-kubelet.crt agent/serving-kubelet.key data/.lock
    server/cred/admin.kubeconfig server/cred/api-server.kubeconfig server/cred/cloud-controller.kubeconfig
    server/cred/controller.kubeconfig server/cred/scheduler.kubeconfig server/cred/supervisor.kubeconfig
    server/cred/ipsec.psk server/cred/passwd server/db/etcd/config server/db/etcd/name server/db/etcd/member/snap/db
    server/etc/cloud-config.yaml server/manifests/ccm.yaml server/manifests/coredns.yaml
    server/manifests/local-storage.yaml server/manifests/rolebindings.yaml server/manifests/runtimes.yaml server/token
    server/tls/client-k3s-controller.key server/tls/client-kube-proxy.key server/tls/client-kubelet.key
    server/tls/dynamic-cert.json server/tls/service.current.key server/tls/service.key server/tls/serving-kubelet.key
    /etc/rancher/k3s/config.yaml /etc/rancher/k3s/k3s.yaml /etc/rancher/node/password`,
};
const PAIRS = words(`client-admin client-auth-proxy client-ca client-controller client-k3s-cloud-controller
  client-kube-apiserver client-scheduler client-supervisor request-header-ca server-ca serving-kube-apiserver etcd/client
  etcd/peer-ca etcd/peer-server-client etcd/server-ca etcd/server-client kube-controller-manager/kube-controller-manager
  kube-scheduler/kube-scheduler`);

t.test('files under /var/lib/rancher/k3s and /etc/rancher have the modes that k3s gives them', async (t) => {
  const expected = new Map<string, string>();
  for (const [mode, names] of Object.entries(MODES)) for (const name of words(names)) expected.set(name, mode);
  for (const name of PAIRS) expected.set(`server/tls/${name}.crt`, '644').set(`server/tls/${name}.key`, '600');
  const { stdout, stderr } = await one.exec(`cd ${DATA} && stat -c '%n %a' ${[...expected.keys()].join(' ')}`);
  t.equal(stderr, '', 'they are all there');
  t.strictSame(
    stdout.trim().split('\n'),
    [...expected].map(([name, mode]) => `${name} ${mode}`),
  );
  t.match(await one.read(`readlink ${DATA}/data/current`), /^\/var\/lib\/rancher\/k3s\/data\/[0-9a-f]{64}$/);
  t.match(await one.read(`cat ${DATA}/server/db/etcd/name`), /^server-1-[0-9a-f]{8}$/);
  t.equal((await one.exec(`test -e ${DATA}/server/manifests/traefik.yaml`)).code, 1, 'what is disabled is not staged');
});

t.test('6443 answers each path by who asks', async (t) => {
  // In order: nobody, the admin's certificate, the supervisor's, a node's password, a server's.
  const kube = [401, 200, 200, 401, 401];
  const codes: Readonly<Record<string, readonly number[]>> = {
    '/ping': [200, 200, 200, 200, 200],
    '/cacerts': [200, 200, 200, 200, 200],
    '/readyz': kube,
    '/livez': kube,
    '/healthz': kube,
    '/version': kube,
    '/metrics': kube,
    '/api/v1/nodes': kube,
    '/nonexist': [401, 404, 404, 401, 401],
    '/v1-k3s/readyz': [403, 403, 403, 200, 403],
    '/v1-k3s/config': [403, 403, 403, 200, 403],
    '/v1-k3s/server-bootstrap': [403, 403, 403, 403, 200],
  };
  const answers = await one.read(`tls=${DATA}/server/tls
for path in ${Object.keys(codes).join(' ')}; do
  for who in '' "--cert $tls/client-admin.crt --key $tls/client-admin.key" "--cert $tls/client-supervisor.crt --key $tls/client-supervisor.key" "-u node:${TOKEN}" "-u server:${TOKEN}"; do
    curl -sk $who -o /run/body -w "$path %{http_code} %{content_type} | " https://127.0.0.1:6443$path
    head -c 400 /run/body | tr '\\n' ' '; echo
  done
done`);
  const lines = answers.split('\n');
  t.strictSame(
    lines.map((line) => line.split(' ').slice(0, 2).join(' ')),
    Object.entries(codes).flatMap(([path, given]) => given.map((code) => `${path} ${code}`)),
  );
  for (const line of lines) {
    const [head = '', body = ''] = line.split(' | ');
    const [path, code] = head.split(' ');
    if (code === '401') t.match(body, /"apiVersion": "v1", .*"message": "Unauthorized", .*"code": 401/);
    if (code === '403') t.match(body, /^\{ +"kind": "Status", +"metadata": \{\}, .*"message": "forbidden", /);
    if (code === '404') t.match(body, /^404 page not found/);
    if (path === '/ping') t.equal(body.trim(), 'pong');
    if (path === '/cacerts') t.match(body, /^-----BEGIN CERTIFICATE-----/);
    if (code === '200' && /z$/.test(path ?? '')) t.equal(body.trim(), 'ok');
  }
  const asServer = `curl -sk -u server:${TOKEN} https://127.0.0.1:6443`;
  const info = JSON.parse(await one.read(`${asServer}/db/info`)) as { members: { name: string }[] };
  t.strictSame(info.members.map(({ name }) => name.slice(0, -9)).sort(), NAMES);
  t.strictSame(
    Object.keys(JSON.parse(await one.read(`${asServer}/v1-k3s/server-bootstrap`))).sort(),
    words(`ClientCA ClientCAKey ETCDPeerCA ETCDPeerCAKey ETCDServerCA ETCDServerCAKey IPSECKey PasswdFile RequestHeaderCA
      RequestHeaderCAKey ServerCA ServerCAKey ServiceKey`),
  );
  const wrong = `curl -sk -u server:wrong -w ' %{http_code}' https://127.0.0.1:6443/v1-k3s/server-bootstrap`;
  t.match(await one.read(wrong), /not authorized[\s\S]* 401$/);
  t.match(await journal(one), /Failed to authenticate request from 127\.0\.0\.1:\d+: invalid username\/password/);
});

t.test('a server listens where k3s does, and nowhere else', async (t) => {
  const listening = await one.read("ss -Hltnu | awk '{print $1, $5}' | grep -v ':22$' | sort -u");
  const everywhere = [6443, 10250].map((port) => `tcp *:${port}`);
  const onNodeToo = [2379, 2380].map((port) => `tcp ${one.address}:${port}`);
  const loopback = [2379, 2380, 2381, 2382, 6444, 10010, 10248, 10249, 10256, 10257, 10258, 10259];
  t.strictSame(
    listening.split('\n').sort(),
    [...everywhere, ...onNodeToo, ...loopback.map((port) => `tcp 127.0.0.1:${port}`), 'udp 0.0.0.0:8472'].sort(),
  );
});

t.test('every server shows one serving certificate, which names them all', async (t) => {
  const shown = (host: LabHost) =>
    new Promise<{ names: string[]; subject: unknown; issuer: string; years: number; fingerprint: string }>(
      (resolve, reject) => {
        const socket = connect({ host: host.address, port: 6443, rejectUnauthorized: false }, () => {
          const found = socket.getPeerCertificate();
          socket.destroy();
          resolve({
            names: (found.subjectaltname ?? '').split(', ').sort(),
            subject: found.subject,
            issuer: String(found.issuer.CN),
            years: (Date.parse(found.valid_to) - Date.parse(found.valid_from)) / 86_400_000 / 365,
            fingerprint: found.fingerprint256,
          });
        });
        socket.on('error', reject);
      },
    );
  const wanted = [
    ...[SAN, 'localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc', ...NAMES].map(
      (name) => `DNS:${name}`,
    ),
    'DNS:kubernetes.default.svc.cluster.local',
    ...[lab.vip, '127.0.0.1', '10.43.0.1', ...servers.map(({ address }) => address)].map((ip) => `IP Address:${ip}`),
    'IP Address:0:0:0:0:0:0:0:1',
  ].sort();
  t.ok(
    await until(60, async () => {
      const all = await Promise.all(servers.map(shown));
      return new Set(all.map(({ fingerprint }) => fingerprint)).size === 1 && all[0]?.names.length === wanted.length;
    }),
    'the same one everywhere',
  );
  const { names, subject, issuer, years, fingerprint } = await shown(two);
  t.strictSame(names, wanted);
  t.match(subject, { O: 'k3s', CN: 'k3s' });
  t.match(issuer, /^k3s-server-ca@\d+$/);
  t.ok(Math.abs(years - 1) < 0.01, `${years} years`);
  const secret = await kubectl(one, "get secret -n kube-system k3s-serving -o jsonpath='{.data.tls\\.crt}'");
  t.equal(
    new X509Certificate(Buffer.from(secret, 'base64')).fingerprint256,
    fingerprint,
    'it is in the secret k3s-serving',
  );
});

t.test('a node has its labels, annotations and finalizers, and says that it votes', async (t) => {
  const look = async () =>
    JSON.parse(await kubectl(one, 'get node server-2 -o json')) as {
      metadata: { labels: Record<string, string>; annotations: Record<string, string>; finalizers: string[] };
      status: { conditions: { type: string; status: string; reason: string; message: string }[] };
    };
  const voting = async () => (await look()).status.conditions.find(({ type }) => type === 'EtcdIsVoter');
  t.ok(await until(60, async () => (await voting())?.status === 'True'));
  t.match(await voting(), {
    reason: 'MemberNotLearner',
    message: 'Node is a voting member of the etcd cluster',
  });
  const { labels, annotations, finalizers } = (await look()).metadata;
  t.match(labels, {
    'beta.kubernetes.io/instance-type': 'k3s',
    'kubernetes.io/arch': 'amd64',
    'kubernetes.io/hostname': 'server-2',
    'node-role.kubernetes.io/control-plane': 'true',
    'node-role.kubernetes.io/etcd': 'true',
    'node.kubernetes.io/instance-type': 'k3s',
  });
  t.notOk('node-role.kubernetes.io/master' in labels, 'that role is gone');
  t.equal(labels['heartwood.lab/k3s'], standIn ? 'standin' : undefined);
  t.match(annotations, {
    'alpha.kubernetes.io/provided-node-ip': two.address,
    'etcd.k3s.cattle.io/node-address': two.address,
    'etcd.k3s.cattle.io/node-name': /^server-2-[0-9a-f]{8}$/,
    'flannel.alpha.coreos.com/backend-data': /^\{"VNI":1,"VtepMAC":"[0-9a-f:]{17}"\}$/,
    'flannel.alpha.coreos.com/backend-type': 'vxlan',
    'flannel.alpha.coreos.com/public-ip': two.address,
    'k3s.io/hostname': 'server-2',
    'k3s.io/internal-ip': two.address,
    'k3s.io/node-config-hash': /^[A-Z2-7]{52}====$/,
    'k3s.io/node-env': '{}',
  });
  const args = annotations['k3s.io/node-args'] ?? '';
  t.match(args, '["server","--server","https://server-1:6443","--token","********","--write-kubeconfig-mode","0600",');
  t.match(args, '"--disable","traefik","--disable","metrics-server"');
  t.notMatch(args, TOKEN);
  t.strictSame(finalizers, ['wrangler.cattle.io/node', 'wrangler.cattle.io/managed-etcd-controller']);
  t.strictSame(await readyNodes(two), NAMES);
  t.notOk((await members(three)).some(({ isLearner }) => isLearner));
});

t.test('image archives are imported however they are packed', async (t) => {
  for (const [index, host] of servers.entries()) {
    const packing = ['.tar.zst', '.tar', '.tar.gz'][index];
    t.match(
      await journal(host),
      new RegExp(`Imported (?:\\d+ )?images from \\S+/k3s-airgap-images-amd64${packing?.replaceAll('.', '\\.')} in `),
    );
    const images = await kubectl(one, `get node ${host.name} -o jsonpath={.status.images[*].names}`);
    for (const name of ['docker.io/rancher/mirrored-pause:3.6', 'docker.io/library/busybox:1.37'])
      t.match(images, name);
  }
});

t.test(
  'what lies among the manifests is applied, applied again when it changes, and known by its checksum',
  async (t) => {
    const holder = await kubectl(one, 'get lease -n kube-system k3s -o jsonpath={.spec.holderIdentity}');
    const leader = lab.host(holder);
    const file = `${DATA}/server/manifests/lab-test.yaml`;
    for (const value of ['first', 'second']) {
      const text = `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: lab-test, namespace: default}\ndata: {word: ${value}}\n`;
      t.equal((await leader.exec(`cat > ${file}`, { input: text })).code, 0);
      const applied = async () =>
        (await kubectl(one, 'get configmap lab-test -o jsonpath={.data.word}')) === value &&
        (await kubectl(one, 'get addon -n kube-system lab-test -o jsonpath={.spec.checksum}')) ===
          createHash('sha256').update(text).digest('hex');
      t.ok(await until(60, applied), value);
    }
    const addons = await kubectl(
      one,
      `get addons -n kube-system -o jsonpath='{range .items[*]}{.spec.source}{"\\n"}{end}'`,
    );
    const packaged = ['ccm', 'coredns', 'lab-test', 'local-storage', 'rolebindings', 'runtimes'];
    t.strictSame(
      addons.trim().split('\n').sort(),
      packaged.map((name) => `${DATA}/server/manifests/${name}.yaml`),
    );
  },
);

t.test('snapshots are saved, listed by server, pruned and deleted; the cluster knows them all', async (t) => {
  const saves = [await one.exec('k3s etcd-snapshot save --name x'), await two.exec('k3s etcd-snapshot save')];
  for (const { code } of saves) t.equal(code, 0);
  t.match(saves[0]?.stderr, /level=warning msg="Unknown flag --cluster-init found in config\.yaml, skipping\\n"/);
  t.match(saves[0]?.stderr, /level=info msg="Snapshot x-server-1-\d+ saved\."/);
  t.match(saves[1]?.stderr, /level=info msg="Snapshot on-demand-server-2-\d+ saved\."/);
  const [first = ''] = /x-server-1-\d+/.exec(saves[0]?.stderr ?? '') ?? [];
  const listed = async () =>
    JSON.parse((await one.exec('k3s etcd-snapshot ls -o json')).stdout) as {
      kind: string;
      items: {
        kind: string;
        metadata: { name: string };
        spec: Record<string, string>;
        status: Record<string, unknown>;
      }[];
    };
  t.match(await listed(), {
    kind: 'List',
    items: [
      {
        kind: 'ETCDSnapshotFile',
        apiVersion: 'k3s.cattle.io/v1',
        metadata: { name: `local-${first}`, labels: { 'etcd.k3s.cattle.io/snapshot-storage-node': 'server-1' } },
        spec: { snapshotName: first, nodeName: 'server-1', location: `file://${DATA}/server/db/snapshots/${first}` },
        status: { size: /^\d+$/, readyToUse: true },
      },
    ],
  });
  t.equal((await listed()).items.length, 1, 'another server has its own list');
  const table = (await one.exec('k3s etcd-snapshot ls')).stdout;
  t.match(table, /^Name +Location +Size +Created\nx-server-1-\d+ +file:\S+ +\d+ +\d{4}-\d\d-\d\dT[\d:]+Z\n$/);
  t.equal(await one.read(`stat -c '%a %n' ${DATA}/server/db/snapshots/*`), `600 ${DATA}/server/db/snapshots/${first}`);
  t.ok(
    await until(60, async () => {
      const known = await kubectl(one, 'get etcdsnapshotfiles -o jsonpath={.items[*].spec.snapshotName}');
      return known.includes(first) && /on-demand-server-2-\d+/.test(known);
    }),
  );
  // A snapshot's name ends in the second that it was saved in.
  t.ok(await until(5, async () => Math.floor(Date.now() / 1000) > Number(first.split('-').at(-1))));
  t.equal((await one.exec('k3s etcd-snapshot save --name x')).code, 0);
  t.equal((await listed()).items.length, 2);
  const pruned = await one.exec('k3s etcd-snapshot prune --snapshot-retention 1 --name x');
  t.match(pruned, { code: 0, stdout: '' });
  const left = (await listed()).items.map(({ spec }) => spec['snapshotName']);
  t.equal(left.length, 1);
  t.not(left[0], first, 'the older one went');
  const missing = await one.exec('k3s etcd-snapshot delete nosuch');
  t.match(missing, { code: 0, stderr: 'level=warning msg="Snapshot nosuch not found."' });
  t.equal((await one.exec(`k3s etcd-snapshot delete ${left[0]}`)).code, 0);
  t.equal((await listed()).items, null, 'an empty list is null');
});

t.test('pods on different nodes and a service reach each other through vxlan, and only through it', async (t) => {
  const spec = {
    containers: [
      {
        name: 'web',
        image: 'docker.io/library/busybox:1.37',
        imagePullPolicy: 'Never',
        command: ['sh', '-c', 'hostname > /tmp/index.html; exec httpd -f -p 80 -h /tmp'],
      },
    ],
    terminationGracePeriodSeconds: 0,
  };
  const selector = { app: 'web' };
  const daemons = {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'web' },
    spec: { selector: { matchLabels: selector }, template: { metadata: { labels: selector }, spec } },
  };
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web' },
    spec: { selector, ports: [{ port: 80 }] },
  };
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [daemons, service] });
  t.equal((await one.exec('k3s kubectl apply -f -', { input })).code, 0);
  await kubectl(one, 'rollout status daemonset/web --timeout=120s');
  const pods = JSON.parse(await kubectl(one, 'get pods -l app=web -o json')) as {
    items: { metadata: { name: string }; spec: { nodeName: string }; status: { podIP: string } }[];
  };
  const podOn = (node: string) => {
    const found = pods.items.find(({ spec: { nodeName } }) => nodeName === node);
    if (!found) throw new Error(`no pod on ${node}`);
    return { name: found.metadata.name, address: found.status.podIP };
  };
  const names = NAMES.map((node) => podOn(node).name).sort();
  const clusterIp = await kubectl(one, 'get service web -o jsonpath={.spec.clusterIP}');
  const seen = new Set<string>();
  t.ok(
    await until(30, async () => {
      seen.add(await two.read(`curl -sf -m 3 http://${clusterIp}/`));
      return seen.size === 3;
    }),
    'the service goes to every pod',
  );
  t.strictSame([...seen].sort(), names);
  const ping = `exec ${podOn('server-1').name} -- ping -c 1 -W 3 ${podOn('server-2').address}`;
  t.match(await kubectl(one, ping), '1 packets received');
  t.match(await one.read('ip -d link show flannel.1'), /mtu 1450 [\s\S]*vxlan id 1 [\s\S]*dstport 8472/);
  t.match(
    await kubectl(two, `exec ${podOn('server-3').name} -- ip address show eth0`),
    /mtu 1450 [\s\S]*10\.42\.\d+\.\d+\/24/,
  );
  await two.drop({ port: 8472, proto: 'udp', from: 'server-1' });
  t.match(await one.exec(`k3s kubectl ${ping}`), { code: 1, stdout: / 0 packets received/ });
  await two.restore();
  t.ok(await until(30, async () => (await kubectl(one, ping)).includes('1 packets received')));
});

t.test(
  "a service's name resolves in a pod",
  { skip: standIn ? false : "the lab has not the real one's CoreDNS" },
  async (t) => {
    const lookup = 'exec daemonset/web -- nslookup web.default.svc.cluster.local';
    const clusterIp = await kubectl(one, 'get service web -o jsonpath={.spec.clusterIP}');
    t.ok(await until(60, async () => (await kubectl(one, lookup)).includes(clusterIp)));
  },
);
