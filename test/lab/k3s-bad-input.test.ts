/**
 * What keeps the main job from beginning: everything that can be known before it is said at once, at its place, and every
 * host stays as it was. Nothing is ever installed here.
 */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { directoryOf } from '../../lab/names.ts';
import { useLab } from '../support/lab.ts';
import { type Ended, program } from '../support/program.ts';
import { fails, leavesAlone } from '../support/refused.ts';

const lab = await useLab(t, { k3s: true, hosts: [{ name: 'server-1' }, { name: 'server-2' }] });
const one = lab.host('server-1');
const two = lab.host('server-2');
const cwd = t.testdir();

const install = (...args: string[]): Promise<Ended> =>
  program('playbooks/install-k3s.ts', ['-i', lab.inventory, ...args], { cwd });

/** Variables of all hosts, as `-e` takes them. */
const set = (vars: Readonly<Record<string, unknown>>): string[] => ['-e', JSON.stringify(vars)];

/** The lab's inventory, changed by `edit`, with files of variables beside it. */
function inventoryWith(edit: (text: string) => string, files: Readonly<Record<string, string>> = {}): string[] {
  const folder = mkdtempSync(join(cwd, 'inventory-'));
  writeFileSync(join(folder, 'hosts'), edit(readFileSync(lab.inventory, 'utf8')), { mode: 0o600 });
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return ['-i', join(folder, 'hosts')];
}

/** A run that refuses: exit code 2, these words, nothing changed, and no other refusal than those of `checks`. */
async function refuses(t: Test, checks: readonly string[], args: readonly string[], ...says: RegExp[]): Promise<void> {
  const stdout = await leavesAlone(t, [one, two], () => fails(t, install(...args), 2, ...says));
  const refused = [...stdout.matchAll(/^ {2}refuse (\S+ \S+):/gm)].map(([, check]) => check);
  t.strictSame(refused, checks);
  t.match(stdout, /^server-\d +: ok=0 changed=0 /m);
  t.notMatch(stdout, /: ok=\d+ changed=[1-9]/);
}

t.test('a variable that is misspelt, of the wrong type or no release is told before any host is asked', async (t) => {
  await Promise.all([one.cut(), two.cut()]);
  t.teardown(() => Promise.all([one.restore(), two.restore()]));
  for (const [vars, says] of [
    [
      { k3s_verison: 'v1.36.2+k3s1' },
      /^unknown variable "k3s_verison" \(set by -e\)\n.*\n {2}try: did you mean "k3s_version"\?$/m,
    ],
    [
      { k3s_start_timeout: 'long' },
      /k3s_start_timeout \(set by -e\) is the text "long"\n {2}allowed: a whole number, 30 or more$/m,
    ],
    [{ k3s_version: '1.36.2' }, /k3s_version \(set by -e\) .*1\.36\.2.*\n {2}allowed: /],
    [{ kube_vip_address: '10.89.1' }, /kube_vip_address \(set by -e\) .*10\.89\.1.*\n {2}allowed: /],
  ] as const) {
    const { code, stdout, stderr } = await install(...set(vars));
    t.equal(code, 1, stdout);
    t.match(stderr, says);
    t.equal(stdout, '');
  }
});

t.test('a setting that k3s has not, and one that is not the user’s to set', (t) =>
  refuses(
    t,
    ['server-1 k3s-config', 'server-2 k3s-config'],
    set({ k3s_config: { 'disable-netwrok-policy': true, 'cluster-init': true } }),
    /refuse server-1 k3s-config: k3s has no setting "disable-netwrok-policy"; "cluster-init" does not belong into k3s_config .*\n {6}try: did you mean "disable-network-policy"\?; use nothing: which server begins is found out/,
  ),
);

t.test('a port that another program has is named with the program', async (t) => {
  await one.read(
    'for port in 6443 2380; do systemd-run --quiet --collect --unit=squatter-$port socat TCP-LISTEN:$port,fork,reuseaddr /dev/null; done',
  );
  await one.read('until [ "$(ss -Hltn "sport = :6443 or sport = :2380" | wc -l)" = 2 ]; do sleep 0.1; done');
  t.teardown(() => one.read('systemctl stop squatter-6443 squatter-2380'));
  await refuses(
    t,
    ['server-1 ports'],
    [],
    /refuse server-1 ports: k3s needs (6443\/tcp \(socat\)|2380\/tcp \(socat\)), (6443|2380)\/tcp \(socat\), where something else listens .*\n {6}try: see who: ss -lntup; stop it or move it to another port; to go on all the same: -e waive=ports$/m,
  );
});

t.test('a full disk', async (t) => {
  two.fillDisk();
  t.teardown(() => two.restore());
  await refuses(
    t,
    ['server-2 disk'],
    [],
    /refuse server-2 disk: there is no room under \/var\/lib\/rancher \(\S+ has [\d.]+ GB, 0\.0 GB free\)\n {6}allowed: 2 GB free and more\n {6}try: see what fills it: du -xh/,
  );
});

t.test('a clock that is off is said of the host that has it, and of no other', async (t) => {
  two.skewClock(-7200);
  t.teardown(() => two.restore());
  await refuses(
    t,
    ['server-2 clock'],
    [],
    /refuse server-2 clock: server-2's clock is 7(199|200)\.\d s behind this machine's clock: tokens and certificates fail .*\n {6}allowed: 5 s \(preflight_clock_drift\)\n {6}try: timedatectl set-ntp true/,
  );
});

t.test(
  'a virtual IP that is a node’s own, one that another machine has, one in no network of the servers',
  async (t) => {
    const both = (check: string) => [`server-1 ${check}`, `server-2 ${check}`];
    await refuses(
      t,
      both('vip-free'),
      set({ kube_vip_address: two.address }),
      /refuse server-1 vip-free: kube_vip_address is the address of a node \(10\.\S+ is the address of server-2\)\n {6}allowed: an address in the network of the servers that nobody has/,
    );
    await refuses(
      t,
      both('vip-free'),
      set({ kube_vip_address: lab.gateway }),
      /refuse server-1 vip-free: another machine has kube_vip_address already: two would answer for one address \(([0-9a-f]{2}:){5}[0-9a-f]{2} answers for 10\.\S+, as server-1 sees it\)\n {6}allowed: .*\n {6}try: ip neigh show/,
    );
    await refuses(
      t,
      both('vip-interface'),
      set({ kube_vip_address: '192.0.2.1' }),
      /192\.0\.2\.1 is in no network of server-1, server-2/,
    );
  },
);

t.test('a mirror that is down, that cuts a list of checksums off, or has not all of this release', async (t) => {
  t.teardown(() => lab.mendMirror());
  const release = (why: string) =>
    new RegExp(
      `refuse server-1 k3s-release: the checksums of the release could not be had: ${why}[\\s\\S]*?\\n {6}try: is http\\S+ reachable from the servers, and laid out like the release page\\?`,
    );
  const both = ['server-1 k3s-release', 'server-2 k3s-release'];
  await refuses(
    t,
    both,
    set({ k3s_mirror: `http://${lab.gateway}:9` }),
    release('.*sha256sum-amd64\\.txt: curl: \\(7\\)'),
  );
  await refuses(
    t,
    both,
    set({ k3s_version: 'v1.36.9+k3s1' }),
    release('.*v1\\.36\\.9%2Bk3s1/sha256sum-amd64\\.txt: curl: \\(22\\).*404'),
  );
  lab.breakMirror('/sha256sum-', 'truncated');
  await refuses(t, both, [], release('.*sha256sum-amd64\\.txt: curl: \\(18\\)'));
  lab.mendMirror();
  const partly = join(directoryOf(lab.name), 'mirror/partly/v1.36.2+k3s1');
  mkdirSync(partly, { recursive: true });
  writeFileSync(join(partly, 'sha256sum-arm64.txt'), `${'a'.repeat(64)}  k3s-arm64\n`);
  await refuses(
    t,
    ['server-1 k3s-files', 'server-2 k3s-files'],
    set({ k3s_mirror: `${lab.mirror}/partly` }),
    /refuse server-1 k3s-files: http\S+ has not all of v1\.36\.2\+k3s1 for amd64 \(no k3s, k3s-airgap-images-amd64\.tar\.zst among the checksums of v1\.36\.2\+k3s1\)\n {6}allowed: .*\n {6}try: complete the mirror/,
  );
});

t.test('critical flags that differ between servers of the inventory', (t) =>
  refuses(
    t,
    ['server-1 k3s-flags', 'server-2 k3s-flags'],
    inventoryWith((text) => text, { 'host_vars/server-2.yml': 'k3s_config: { disable-network-policy: true }\n' }),
    /refuse server-2 k3s-flags: disable-network-policy must be the same on all servers, and k3s would refuse the join \(disable-network-policy is true here, false on server-1\)\n {6}try: set it for all servers at one place/,
  ),
);

t.test(
  'a cluster in sqlite and one in an external datastore are left alone, and the way to etcd is named',
  async (t) => {
    // What k3s leaves on a disk in either case.
    await two.read('mkdir -p /var/lib/rancher/k3s/server/db && touch /var/lib/rancher/k3s/server/db/state.db');
    t.teardown(() => two.read('rm -rf /var/lib/rancher/k3s/server /etc/rancher/k3s/config.yaml'));
    await refuses(
      t,
      ['server-2 k3s-datastore'],
      ['-e', 'waive=split-brain,k3s-datastore'],
      /refuse server-2 k3s-datastore: this server keeps its cluster in sqlite, which only one server can have .*\n {6}try: migrate it to etcd first: back up .*cluster-init: true.*Nothing was touched$/m,
    );
    await refuses(
      t,
      ['server-1 split-brain'],
      ['--limit', 'server-1'],
      /refuse server-1 split-brain: server-2 keeps a cluster in sqlite, which no other server can join, and a second one must not be begun beside it .*\n {6}try: on server-2: migrate it to etcd first/,
    );
    await two.read(`rm -r /var/lib/rancher/k3s/server
echo 'datastore-endpoint: "postgres://k3s:pw@192.0.2.9/k3s"' > /etc/rancher/k3s/config.yaml`);
    await refuses(
      t,
      ['server-1 split-brain', 'server-2 k3s-datastore'],
      [],
      /refuse server-2 k3s-datastore: this server keeps its cluster in an external datastore, .*\n {6}try: migrate to embedded etcd by backup and restore/,
    );
  },
);

t.test('servers of two clusters; and no cluster is begun while it cannot be known whether there is one', async (t) => {
  const data = '/var/lib/rancher/k3s/server';
  for (const [host, ca] of [
    [one, 'one'],
    [two, 'two'],
  ] as const) {
    await host.read(`mkdir -p ${data}/db/etcd/member/wal ${data}/tls && echo ${ca} > ${data}/tls/server-ca.crt`);
    t.teardown(() => host.read('rm -rf /var/lib/rancher/k3s/server'));
  }
  await refuses(
    t,
    ['server-1 split-brain', 'server-2 split-brain'],
    [],
    /refuse server-2 split-brain: this server and server-1 are servers of different clusters \(its CA is [0-9a-f]{12}\.\.\., that of server-1 [0-9a-f]{12}\.\.\.\)\n {6}try: decide which cluster is the right one/,
  );
  await one.read('rm -rf /var/lib/rancher/k3s/server');
  await two.cut();
  t.teardown(() => two.restore());
  await refuses(
    t,
    ['server-1 split-brain'],
    ['--timeout', '2'],
    /^unreachable server-2\n {4}/m,
    /refuse server-1 split-brain: it can't be known whether server-2 has a cluster already, and a second one must not be begun beside it \(no cluster on server-1; server-2 not reached\)\n {6}try: bring server-2 back, or take it out of the inventory if it is gone for good; to go on all the same: -e waive=split-brain$/m,
    /^server-2 +: ok=0 changed=0 unreachable=1 failed=0 skipped=0$/m,
  );
});
