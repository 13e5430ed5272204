/** Given these variables and facts, these tasks: k3s-server, k3s-agent, and what they write. */

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import t from 'tap';
import type { FactAnswers, FactRequests } from '../../engine/fact.ts';
import type { HostView } from '../../engine/host-view.ts';
import { type Script, Secret, sh, type Task, type Verdict } from '../../engine/index.ts';
import type { RoleBody, TaskContext } from '../../engine/role.ts';
import { definition } from '../../engine/script.ts';
import { type Network, network } from '../../roles/cluster/network.ts';
import { system } from '../../roles/cluster/system.ts';
import { adoptAgentVerdict, adoptServerVerdict } from '../../roles/k3s/adopt.ts';
import { agentConfig, type ServerVars, serverConfig, unitFile } from '../../roles/k3s/config.ts';
import { allVote, etcdMembers, hwMembers, noLeftoverAt, parseMembers } from '../../roles/k3s/etcd.ts';
import { badSettings, criticalDifferences, settingsFor } from '../../roles/k3s/flags.ts';
import {
  askReleases,
  chosenRelease,
  compareVersions,
  parseRelease,
  type Release,
  release,
  releaseFile,
  skipsMinor,
} from '../../roles/k3s/release.ts';
import { failingJoinStopped, removedDataAside } from '../../roles/k3s/start.ts';
import { type K3sState, k3sSettings, k3sState, MARK, parseSettings } from '../../roles/k3s/state.ts';
import { clusterToken, ownToken, sameToken, tokenFile } from '../../roles/k3s/token.ts';
import { filesVerdict } from '../../roles/k3s/verdicts.ts';
import { vipObservation } from '../../roles/k3s/vip.ts';
import { k3sAgent } from '../../roles/k3s-agent/role.ts';
import { skewVerdict } from '../../roles/k3s-agent/stages.ts';
import { flagsVerdict, versionVerdict } from '../../roles/k3s-server/checks.ts';
import { k3sServer } from '../../roles/k3s-server/role.ts';
import { vars as serverSchema } from '../../roles/k3s-server/vars.ts';

// --- a cluster on paper: three servers and an agent ---

const names = ['server-1', 'server-2', 'server-3', 'agent-1'];

function hostView(name: string, more: Readonly<Record<string, unknown>> = {}): HostView {
  return {
    name,
    address: ipOf(name),
    port: 22,
    groups: ['all', 'k3s_cluster', name.startsWith('server') ? 'server' : 'agent'],
    var: (variable) => more[variable],
  };
}

const ipOf = (name: string): string => `192.0.2.${11 + names.indexOf(name)}`;
const hosts = names.map((name) => hostView(name));
const servers = hosts.filter(({ name }) => name.startsWith('server'));

const defaults = Object.fromEntries(
  Object.entries(serverSchema.properties).map(([name, schema]) => [
    name,
    'default' in schema ? schema.default : undefined,
  ]),
) as ServerVars;

const fresh = k3sState.example;
const member: K3sState = { ...fresh, version: 'v1.36.2+k3s1', datastore: 'etcd', ca: 'aaaa', server: 'active' };
const released: Release = release_();
const theToken = new Secret(`K10${'0'.repeat(64)}::server:a-password-of-the-cluster`);

function release_(): Release {
  return parseRelease(
    `version v1.36.2+k3s1\n${'a'.repeat(64)}  k3s\n${'c'.repeat(64)}  k3s-arm64\n${'b'.repeat(64)}  k3s-airgap-images-amd64.tar.zst\n`,
  );
}

const networkOf = (name: string): Network => ({
  ...network.example,
  addresses: [{ iface: 'eth0', address: ipOf(name), prefix: 24 }],
});

const server = await k3sServer.role.load();
const agent = await k3sAgent.role.load();

/** What the last stage of a role makes of variables and facts. */
function tasksOf(
  role: RoleBody,
  host: string,
  facts: Readonly<Record<string, unknown>>,
  more: {
    readonly vars?: Partial<ServerVars>;
    readonly hostVars?: Readonly<Record<string, unknown>>;
    readonly inventory?: readonly HostView[];
    readonly runHosts?: readonly HostView[];
  } = {},
): { readonly tasks: readonly Task[]; readonly handlers: Readonly<Record<string, Task>> } {
  const stage = role.stages.at(-1);
  const { inventory = hosts, runHosts = inventory } = more;
  const context: TaskContext<unknown> = {
    vars: { ...defaults, ...more.vars },
    host: hostView(host, more.hostVars),
    group: (name: string) => inventory.filter(({ groups }) => groups.includes(name)),
    inventory,
    playHosts: inventory,
    runHosts,
    facts: facts as FactAnswers<FactRequests>,
  };
  return { tasks: stage?.tasks(context) ?? [], handlers: stage?.handlers?.(context) ?? {} };
}

/** Facts of the server stage; states by server name, fresh where not given. */
function serverFacts(
  host: string,
  states: Readonly<Record<string, K3sState>>,
  more: Readonly<Record<string, unknown>> = {},
) {
  const of = <T>(value: (name: string) => T) => new Map(servers.map(({ name }) => [name, value(name)]));
  return {
    own: states[host] ?? fresh,
    settings: {},
    system: system.example,
    ownToken: undefined,
    states: of((name) => states[name] ?? fresh),
    networks: of(networkOf),
    tokens: of((name) => (states[name]?.datastore === 'etcd' ? theToken : undefined)),
    releases: of(() => released),
    members: of(() => undefined),
    othersSettings: new Map<string, unknown>(),
    ...more,
  };
}

const titles = (tasks: readonly Task[]): string[] =>
  tasks.filter(({ options }) => options.when !== false).map(({ name }) => name);
const named = (tasks: readonly Task[], name: string): Task | undefined => tasks.find((task) => task.name === name);

/** A script with the functions it calls: contents are among them. */
const whole = (script: Script): string => [...script.functions.map(definition), script.shown].join('\n');

/** The change of a task. */
function changeOf(tasks: readonly Task[], name: string): Script {
  const action = named(tasks, name)?.action;
  if (!action || !('change' in action)) throw new Error(`no task ${name}`);
  return action.change({});
}

/** What a file task will write, as people may see it. */
function written(tasks: readonly Task[], name: string): string {
  const action = named(tasks, name)?.action;
  return action && 'change' in action ? whole(action.change({})) : '';
}

// --- the server ---

t.test('the first server of fresh hosts begins the cluster', async (t) => {
  const { tasks } = tasksOf(server, 'server-1', serverFacts('server-1', {}));
  t.same(titles(tasks), [
    'Make sure that there is one cluster',
    'Make sure that no setting of an existing k3s is lost',
    'Compare the token with the cluster',
    'Install the k3s binary',
    'Link kubectl to k3s',
    'Link crictl to k3s',
    'Link ctr to k3s',
    'Make the directory for settings',
    'Write the token, for root only',
    'Write config.yaml',
    'Write the unit',
    'Record the release',
    'Start k3s',
    'Wait until it is a voter',
  ]);
  const config = written(tasks, 'Write config.yaml');
  t.match(config, /cluster-init: true/);
  t.notMatch(config, /\nserver:/);
});

t.test(
  'a joining server names the node address of a running one, is let in only when all vote, and disrupts etcd',
  async (t) => {
    const { tasks } = tasksOf(server, 'server-3', serverFacts('server-3', { 'server-1': member, 'server-2': member }), {
      vars: { kube_vip_address: '192.0.2.100' },
    });
    const config = written(tasks, 'Write config.yaml');
    t.match(config, /server: https:\/\/192\.0\.2\.11:6443/, 'not the virtual IP');
    t.match(config, /- "192\.0\.2\.100"/, 'which is in the certificate from the start');
    t.notMatch(config, /cluster-init/);
    const steps = titles(tasks);
    t.same(steps.slice(steps.indexOf('Connect to the server to join')), [
      'Connect to the server to join',
      'Connect back from the server to join',
      "Remove this host's own half-joined member",
      'Wait until all members of etcd vote',
      'Join the cluster',
      'Wait until it is a voter',
    ]);
    for (const name of ['Connect back from the server to join', 'Wait until all members of etcd vote']) {
      t.equal(named(tasks, name)?.options.delegateTo?.name, 'server-1', name);
    }
    t.equal(named(tasks, 'Join the cluster')?.options.disrupts?.lock, 'etcd');
  },
);

t.test('while there is no cluster, a node that joins stops before anything is installed, and says why', async (t) => {
  const GATE = 'Make sure that there is a cluster to join';
  const explained = (tasks: readonly Task[]) => {
    const action = named(tasks, GATE)?.action;
    return action && 'explain' in action ? action.explain?.({ exitCode: 1, stdout: '', stderr: '' }) : undefined;
  };
  const second = tasksOf(server, 'server-2', serverFacts('server-2', {})).tasks;
  t.strictSame(titles(second).slice(0, 2), ['Make sure that there is one cluster', GATE]);
  t.match(explained(second), {
    what: /server-1 was to begin it, and failed in this run/,
    hint: /fix what failed on server-1/,
  });
  const limited = tasksOf(server, 'server-2', serverFacts('server-2', {}), { runHosts: [hostView('server-2')] }).tasks;
  t.match(explained(limited), { what: /server-1 is to begin it, and this run leaves it out/, hint: /without --limit/ });
  const worker = tasksOf(agent, 'agent-1', agentFacts({})).tasks;
  t.strictSame(titles(worker).slice(0, 2), ['Make sure that this host is no server', GATE]);
  t.match(explained(worker), { what: /server-1 was to begin it/ });
  t.equal(spawnSync('sh', [], { input: changeOf(worker, GATE).standalone() }).status, 1, 'a real run fails there');
  for (const tasks of [
    tasksOf(server, 'server-1', serverFacts('server-1', {})).tasks,
    tasksOf(server, 'server-2', serverFacts('server-2', { 'server-1': member })).tasks,
    tasksOf(agent, 'agent-1', agentFacts({ 'server-1': member })).tasks,
  ]) {
    t.notOk(titles(tasks).includes(GATE));
  }
});

t.test('a second name of a machine that answered is no server that may have another cluster', async (t) => {
  const alias: HostView = { ...hostView('server-1'), name: 'again' };
  const facts = serverFacts('server-1', {});
  const first = tasksOf(server, 'server-1', facts, { inventory: [...hosts, alias] }).tasks[0];
  t.match(first?.action, { verdict: 'pass', evidence: 'no server has a cluster: this one begins it' });
  const stranger: HostView = { ...alias, address: '192.0.2.99' };
  const careful = tasksOf(server, 'server-1', facts, { inventory: [...hosts, stranger] }).tasks[0];
  t.match(careful?.action, { verdict: 'refuse', id: 'split-brain' });
});

t.test('a first server that lost its disk joins the others', async (t) => {
  const { tasks } = tasksOf(server, 'server-1', serverFacts('server-1', { 'server-2': member, 'server-3': member }));
  t.match(written(tasks, 'Write config.yaml'), /server: https:\/\/192\.0\.2\.12:6443/);
});

t.test('a running member is restarted for a change of binary, settings or unit, and for nothing else', async (t) => {
  const states = {
    'server-1': member,
    'server-2': { ...member, joins: 'https://192.0.2.11:6443' },
    'server-3': member,
  };
  const { tasks, handlers } = tasksOf(server, 'server-2', serverFacts('server-2', states), {
    vars: { kube_vip_address: '192.0.2.100' },
  });
  t.same(
    tasks.filter(({ options }) => options.notify !== undefined).map(({ name }) => name),
    ['Install the k3s binary', 'Write config.yaml', 'Write the unit'],
  );
  const restart = handlers['restart k3s'];
  t.match(restart?.options.disrupts, { lock: 'etcd', before: { kind: 'wait' }, after: { kind: 'wait' } });
  const action = restart?.action;
  const script = action && 'change' in action ? whole(action.change({})) : '';
  t.match(
    script,
    /-I PREROUTING -d 192\.0\.2\.100 [\s\S]*if hw_has_vip 192\.0\.2\.100; then[\s\S]*\s+hw_relay_on [\s\S]*systemctl restart --no-block k3s[\s\S]*\nhw_relay_off\n/,
    'new connections to the virtual IP go to another server meanwhile',
  );
});

t.test('a server that does not run is not restarted: it starts with what is there', async (t) => {
  const { tasks } = tasksOf(
    server,
    'server-2',
    serverFacts('server-2', { 'server-2': { ...member, server: 'inactive' } }),
  );
  t.same(
    tasks.filter(({ options }) => options.notify !== undefined),
    [],
  );
});

t.test('where a server joins stays as it is while that server is merely away', async (t) => {
  const states = {
    'server-1': { ...member, server: 'inactive' as const },
    'server-2': { ...member, joins: 'https://192.0.2.11:6443' },
    'server-3': member,
  };
  const { tasks } = tasksOf(server, 'server-2', serverFacts('server-2', states));
  t.match(written(tasks, 'Write config.yaml'), /server: https:\/\/192\.0\.2\.11:6443/);
});

t.test('a failing join is stopped before it is tried anew', async (t) => {
  const states = { 'server-1': member, 'server-2': { ...fresh, server: 'activating' as const } };
  const { tasks } = tasksOf(server, 'server-2', serverFacts('server-2', states));
  t.ok(titles(tasks).includes('Stop the failing join'));
  t.same(
    tasks.filter(({ options }) => options.notify !== undefined),
    [],
  );
});

t.test('a host that etcd knows as a voter, and that has lost its data, is refused with the remedy', async (t) => {
  const facts = serverFacts(
    'server-3',
    { 'server-1': member },
    {
      members: new Map([['server-1', parseMembers('1 server-1-aa 192.0.2.11 voter\n2 server-3-bb 192.0.2.13 voter')]]),
    },
  );
  const { tasks } = tasksOf(server, 'server-3', facts);
  const verdict = named(tasks, 'Make sure that etcd does not know this host from before')?.action as Verdict;
  t.match(verdict, { verdict: 'refuse', what: /server-3-bb/, hint: /kubectl delete node node-1` on server-1/ });
});

t.test('a refused server gets no task but the refusal', async (t) => {
  const { tasks } = tasksOf(
    server,
    'server-1',
    serverFacts('server-1', { 'server-1': { ...fresh, datastore: 'sqlite' } }),
  );
  t.equal(tasks.length, 1);
  t.match(tasks[0]?.action, { verdict: 'refuse', hint: /cluster-init: true/ });
});

t.test('without a release the binary is neither fetched nor guessed', async (t) => {
  const releases = new Map(servers.map(({ name }) => [name, { ok: false, why: 'curl: (6) Could not resolve host' }]));
  const { tasks } = tasksOf(server, 'server-1', serverFacts('server-1', {}, { releases }));
  const action = named(tasks, 'Install the k3s binary')?.action;
  t.equal(action?.kind, 'command');
  t.match(action && 'explain' in action ? action.explain?.({ exitCode: 1, stdout: '', stderr: '' }) : undefined, {
    what: /Could not resolve host/,
    hint: /k3s_mirror/,
  });
});

t.test('the binary and the images follow the architecture, the mirror and its checksums', async (t) => {
  const { tasks } = tasksOf(server, 'server-1', serverFacts('server-1', {}), {
    vars: { k3s_airgap_images: true, k3s_mirror: 'http://mirror.example.org/k3s/' },
  });
  t.match(written(tasks, 'Install the k3s binary'), /http:\/\/mirror\.example\.org\/k3s\/v1\.36\.2%2Bk3s1\/k3s\b/);
  t.match(written(tasks, 'Download the images of the release'), /k3s-airgap-images-amd64\.tar\.zst/);
  const arm = tasksOf(
    server,
    'server-1',
    serverFacts('server-1', {}, { system: { ...system.example, arch: 'arm64' } }),
  );
  t.match(named(arm.tasks, 'Install the k3s binary')?.action, { wanted: { sha256: 'c'.repeat(64) } });
});

t.test('commands of the host that k3s would shadow are left alone', async (t) => {
  const { tasks } = tasksOf(
    server,
    'server-1',
    serverFacts('server-1', { 'server-1': { ...fresh, taken: ['kubectl'] } }),
  );
  t.notOk(titles(tasks).includes('Link kubectl to k3s'));
  t.ok(titles(tasks).includes('Link crictl to k3s'));
});

// --- the agent ---

/** Facts of the agent stage. */
function agentFacts(states: Readonly<Record<string, K3sState>>, own: K3sState = fresh) {
  return { ...serverFacts('server-1', states), own, network: networkOf('agent-1'), ownToken: undefined };
}

t.test(
  'an agent joins by the virtual IP where there is one, else by a server that runs, and its server says when it is ready',
  async (t) => {
    const states = { 'server-1': { ...member, server: 'inactive' as const }, 'server-2': member };
    const byAddress = tasksOf(agent, 'agent-1', agentFacts(states));
    t.match(written(byAddress.tasks, 'Write config.yaml'), /server: https:\/\/192\.0\.2\.12:6443/);
    t.equal(named(byAddress.tasks, 'Wait until its node is ready')?.options.delegateTo?.name, 'server-2');
    const byVip = tasksOf(agent, 'agent-1', agentFacts(states), { vars: { kube_vip_address: '192.0.2.100' } });
    t.match(written(byVip.tasks, 'Write config.yaml'), /server: https:\/\/192\.0\.2\.100:6443/);
  },
);

t.test('a host that is a server is not made an agent', async (t) => {
  const { tasks } = tasksOf(agent, 'agent-1', agentFacts({ 'server-1': member }, member));
  t.equal(tasks.length, 1);
  t.match(tasks[0]?.action, { verdict: 'refuse', what: /inventory calls it an agent/ });
});

// --- what is written ---

const text = (content: { toString(): string }): string => content.toString();

t.test('config.yaml of a server that begins, of one that joins, of an agent', async (t) => {
  const vars: ServerVars = {
    ...defaults,
    kube_vip_address: '192.0.2.100',
    k3s_tls_san: ['k3s.example.org'],
    k3s_config: { disable: ['traefik', 'servicelb'], 'kubelet-arg': ['max-pods=200'] },
  };
  const node = { nodeIp: '192.0.2.11', join: undefined, flannelIface: undefined };
  const head = '# Written by Heartwood. Change group_vars instead: the next run puts back what is changed here.\n';
  t.equal(
    text(serverConfig(vars, node)),
    `${head}cluster-init: true
token-file: /etc/rancher/k3s/cluster-token
node-ip: 192.0.2.11
tls-san:
  - "192.0.2.100"
  - "k3s.example.org"
cluster-cidr: 10.42.0.0/16
service-cidr: 10.43.0.0/16
flannel-backend: vxlan

# From k3s_config:
disable:
  - traefik
  - servicelb
kubelet-arg:
  - max-pods=200
write-kubeconfig-mode: "0600"
`,
  );
  t.match(
    text(serverConfig(vars, { ...node, join: 'https://192.0.2.12:6443', flannelIface: 'eth1' })),
    /\nserver: https:\/\/192\.0\.2\.12:6443\n[\s\S]*\nflannel-iface: eth1\n/,
  );
  t.equal(
    text(agentConfig(vars, { ...node, nodeIp: '192.0.2.14', join: 'https://192.0.2.100:6443' })),
    `${head}server: https://192.0.2.100:6443
token-file: /etc/rancher/k3s/cluster-token
node-ip: 192.0.2.14

# From k3s_config:
kubelet-arg:
  - max-pods=200
`,
    'an agent gets no setting that it would refuse to start with',
  );
});

t.test('the unit is the official one, its flags in config.yaml', async (t) => {
  const lines = text(unitFile('server')).split('\n');
  for (const line of [
    'Type=notify',
    'KillMode=process',
    'Delegate=yes',
    'TimeoutStartSec=0',
    'Restart=always',
    'RestartSec=5s',
  ]) {
    t.ok(lines.includes(line), line);
  }
  t.ok(lines.includes('ExecStart=/usr/local/bin/k3s server'));
  t.ok(text(unitFile('agent')).includes('ExecStart=/usr/local/bin/k3s agent\n'));
});

// --- tokens ---

t.test('the token: made once, kept where it is right, taken in full from the cluster, and never shown', async (t) => {
  const short = new Secret('a-password-of-the-cluster');
  t.ok(sameToken(short, theToken), 'the two forms have the same password');
  const make = tokenFile({ given: undefined, own: undefined, cluster: undefined, begins: true });
  t.equal(make.kind, 'command');
  const joining = tokenFile({ given: undefined, own: undefined, cluster: theToken, begins: false });
  t.notMatch(joining.change({}).shown, /a-password-of-the-cluster/);
  t.match(joining.change({}).reveal(), /K100+::server:a-password/, 'in full: it names the CA');
  const kept = tokenFile({ given: undefined, own: short, cluster: theToken, begins: false });
  t.notMatch(kept.change({}).reveal(), /K10/, 'a file with the right password is left as it is');
  const none = tokenFile({ given: undefined, own: undefined, cluster: undefined, begins: false });
  t.match(none.explain?.({ exitCode: 1, stdout: '', stderr: '' }), {
    what: /no server that was reached has the token/,
  });
});

// --- settings and flags ---

t.test('settings are read as k3s reads them, flags of a unit last', async (t) => {
  const settings = parseSettings(
    '--- heartwood ---\ndisable: [traefik]\ncluster-cidr: 10.42.0.0/16\n' +
      '--- heartwood ---\ndisable+: [servicelb]\ncluster-cidr: 10.52.0.0/16\n' +
      '--- heartwood ---\nargv server --disable local-storage --disable=metrics-server --secrets-encryption\nenv KUBECONFIG_MODE 644\n',
  );
  t.same(settings, {
    disable: ['local-storage', 'metrics-server'],
    'cluster-cidr': '10.52.0.0/16',
    'secrets-encryption': true,
    'kubeconfig-mode': '644',
  });
});

t.test(
  'critical flags: a default counts as itself, the order of a list does not count, the rest may differ',
  async (t) => {
    t.same(
      criticalDifferences({ disable: ['a', 'b'] }, { disable: 'b,a', 'flannel-backend': 'vxlan', 'tls-san': ['x'] }),
      [],
    );
    t.same(criticalDifferences({ disable: ['traefik'] }, { 'disable-network-policy': true }), [
      { flag: 'disable-network-policy', here: 'false', there: 'true' },
      { flag: 'disable', here: '[traefik]', there: '[]' },
    ]);
    const verdict = flagsVerdict(
      { 'cluster-cidr': '10.42.0.0/16' },
      new Map([['server-1', { 'cluster-cidr': '10.52.0.0/16' }]]),
    );
    t.match(verdict, { verdict: 'refuse', evidence: 'cluster-cidr is 10.42.0.0/16 here, 10.52.0.0/16 on server-1' });
  },
);

t.test(
  'k3s_config: misspelt settings and settings that are ours are refused, with what to write instead',
  async (t) => {
    t.match(badSettings({ 'kublet-arg': [], token: 'x', 'tls-san': [], 'disable+': [] }), [
      { key: 'kublet-arg', hint: 'did you mean "kubelet-arg"?' },
      { key: 'token', hint: /k3s_token/ },
      { key: 'tls-san', hint: /k3s_tls_san/ },
    ]);
    t.same(settingsFor('agent', { 'kubelet-arg+': ['a'], disable: ['b'] }), { 'kubelet-arg+': ['a'] });
  },
);

t.test("somebody else's k3s is taken over where nothing is lost, and refused where a setting would be", async (t) => {
  const found = { ...member, ours: false };
  const vars: ServerVars = { ...defaults, k3s_config: { disable: ['traefik'] } };
  const asked = { disable: 'traefik', 'write-kubeconfig-mode': '0600', server: 'https://192.0.2.11:6443' };
  t.match(adoptServerVerdict(found, asked, vars), { verdict: 'warn', what: /taken over/ });
  t.match(adoptServerVerdict(found, { ...asked, 'secrets-encryption': true, 'tls-san': ['k3s.lan'] }, vars), {
    verdict: 'refuse',
    evidence: 'secrets-encryption: true; k3s_tls_san: [k3s.lan]',
    hint: /k3s_config/,
  });
  t.match(
    adoptServerVerdict(found, { 'write-kubeconfig-mode': '0600' }, vars),
    { verdict: 'refuse', evidence: 'disable: []' },
    'nor one be gained',
  );
  t.match(adoptServerVerdict(member, { anything: 1 }, vars), { verdict: 'pass' }, 'ours is no question');
});

t.test('a config.yaml that others left without a unit is compared before it is replaced, too', async (t) => {
  const left: K3sState = { ...fresh, config: 'foreign' };
  t.match(adoptServerVerdict(left, { 'node-label': ['disk=fast'] }, defaults), {
    verdict: 'refuse',
    evidence: 'node-label: [disk=fast]',
  });
  t.match(adoptServerVerdict({ ...left, config: 'ours' }, { 'node-label': ['disk=fast'] }, defaults), {
    verdict: 'pass',
  });
});

t.test('an agent over what is left of another cluster is refused, and what would be lost is named', async (t) => {
  const cluster = { ca: 'aaaa', urls: new Set(['https://192.0.2.11:6443']) };
  const left: K3sState = { ...fresh, config: 'foreign', agentCa: 'bbbb' };
  const found = { server: 'https://10.9.9.9:6443', 'node-label': ['disk=fast'] };
  t.match(adoptAgentVerdict(left, found, defaults, cluster), {
    verdict: 'refuse',
    evidence: 'its place in the cluster at https://10.9.9.9:6443; node-label: [disk=fast]',
    hint: /drain it and delete its node there.*k3s-agent-uninstall\.sh/,
  });
  const official: K3sState = { ...fresh, ours: false, agent: 'active' };
  t.match(adoptAgentVerdict(official, { url: 'https://10.9.9.9:6443' }, defaults, { ...cluster, ca: undefined }), {
    verdict: 'refuse',
    evidence: 'its place in the cluster at https://10.9.9.9:6443',
  });
  const ownUrl = { url: 'https://192.0.2.11:6443' };
  t.match(adoptAgentVerdict(official, ownUrl, defaults, cluster), { verdict: 'warn', what: /taken over/ });
  t.match(adoptAgentVerdict(official, { ...ownUrl, 'node-label': 'a=b' }, defaults, cluster), {
    verdict: 'refuse',
    evidence: 'node-label: a=b',
  });
  const byName = { server: 'https://k3s.lan:6443' };
  t.match(
    adoptAgentVerdict({ ...left, agentCa: 'aaaa' }, byName, defaults, cluster),
    { verdict: 'warn' },
    'the same CA',
  );
  t.match(adoptAgentVerdict({ ...left, config: 'ours' }, found, defaults, cluster), { verdict: 'pass' });
  t.match(adoptAgentVerdict(fresh, {}, defaults, cluster), { verdict: 'pass' });

  const facts = { ...agentFacts({ 'server-1': member }), own: left, settings: found };
  const tasks = tasksOf(agent, 'agent-1', facts).tasks;
  t.match(named(tasks, 'Make sure that no setting of an existing k3s is lost')?.action, { verdict: 'refuse' });
  const waived = tasksOf(agent, 'agent-1', facts, { hostVars: { waive: 'k3s-adopt' } }).tasks;
  t.match(named(waived, 'Make sure that no setting of an existing k3s is lost')?.action, { verdict: 'pass' });
});

t.test('whose config.yaml there is, and which cluster an agent was of, is read from the disk', async (t) => {
  const root = t.testdir({ rancher: { k3s: {} }, lib: { k3s: { agent: {} } } });
  const read = () => {
    const script = k3sState.script.standalone().replaceAll('/etc/rancher', `${root}/rancher`);
    const input = `systemctl() { echo LoadState=not-found; }\n${script.replaceAll('/var/lib/rancher', `${root}/lib`)}`;
    const { stdout, stderr, status } = spawnSync('sh', [], { input, encoding: 'utf8' });
    return k3sState.parse({ stdout, stderr, exitCode: status ?? 1 });
  };
  t.match(read(), { config: 'none', agentCa: undefined, member: undefined });
  writeFileSync(`${root}/rancher/k3s/config.yaml`, 'node-label: [a=b]\n');
  writeFileSync(`${root}/lib/k3s/agent/server-ca.crt`, 'a certificate\n');
  mkdirSync(`${root}/lib/k3s/server/db/etcd`, { recursive: true });
  writeFileSync(`${root}/lib/k3s/server/db/etcd/name`, 'server-3-cc');
  t.match(read(), { config: 'foreign', agentCa: /^[0-9a-f]{64}$/, member: 'server-3-cc' });
  writeFileSync(`${root}/rancher/k3s/config.yaml`, `${MARK} And more.\n`);
  t.match(read(), { config: 'ours' });
});

// --- releases ---

t.test('releases: order, downgrades, skipped minor versions', async (t) => {
  t.ok(compareVersions('v1.36.2+k3s1', 'v1.36.10+k3s1') < 0);
  t.ok(compareVersions('v1.36.2+k3s2', 'v1.36.2+k3s1') > 0);
  t.ok(skipsMinor('v1.34.1+k3s1', 'v1.36.2+k3s1'));
  t.notOk(skipsMinor('v1.35.9+k3s3', 'v1.36.2+k3s1'));
  const state = (version: string): K3sState => ({ ...member, version });
  t.match(versionVerdict(state('v1.36.3+k3s1'), released, defaults), { verdict: 'refuse', what: /older/ });
  t.match(versionVerdict(state('v1.34.1+k3s1'), released, defaults), { verdict: 'refuse', what: /every minor/ });
  t.match(versionVerdict(state('v1.35.1+k3s1'), released, { ...defaults, k3s_channel: 'stable' }), {
    verdict: 'pass',
    evidence: 'channel stable is v1.36.2+k3s1',
  });
  const pushed = { ...defaults, k3s_binary: 'files/k3s' };
  const none: Release = { ok: false, why: 'away' };
  t.match(versionVerdict(state('v1.36.3+k3s1'), none, pushed), { verdict: 'refuse', what: /older/ });
  t.match(versionVerdict(state('v1.36.1+k3s1'), none, pushed), {
    verdict: 'pass',
    evidence: 'v1.36.2+k3s1, pushed from files/k3s',
  });
  t.match(versionVerdict(state('v1.36.1+k3s1'), none, { ...pushed, k3s_channel: 'stable' }), {
    verdict: 'refuse',
    what: /follows no channel/,
  });
});

t.test('a mirror that has not the files of an architecture is found on the hosts of that architecture', async (t) => {
  t.ok(released.ok);
  if (!released.ok) return;
  const { 'k3s-arm64': _, ...sums } = released.sums;
  const partly: Release = { ...released, sums };
  t.match(filesVerdict(partly, 'amd64', defaults), { verdict: 'pass', evidence: 'k3s' });
  const refused = {
    verdict: 'refuse',
    evidence: 'no k3s-arm64 among the checksums of v1.36.2+k3s1',
    expected: /sha256sum-arm64\.txt/,
    hint: /k3s_binary/,
  };
  t.match(filesVerdict(partly, 'arm64', defaults), refused);
  t.match(filesVerdict(partly, 'arm64', { ...defaults, k3s_binary: 'files/k3s{suffix}' }), { verdict: 'pass' });
  const images = { ...defaults, k3s_airgap_images: true };
  t.match(filesVerdict({ ...released, sums: { 'k3s-arm64': 'a' } }, 'arm64', images), {
    verdict: 'refuse',
    evidence: /no k3s-airgap-images-arm64\.tar\.zst/,
  });
});

t.test('an agent does not get newer than the servers that stay as they are', async (t) => {
  const servers = new Map([['server-1', { version: 'v1.36.1+k3s1' }]]);
  t.match(skewVerdict('v1.36.2+k3s1', servers), { verdict: 'refuse', evidence: /server-1 v1\.36\.1/ });
  t.match(skewVerdict('v1.36.1+k3s1', servers), { verdict: 'pass' });
  t.match(skewVerdict('v1.36.2+k3s1', new Map()), { verdict: 'pass' });
});

t.test('no mirror is asked where all that is needed is pushed from here', async (t) => {
  const asked = (more: object) => askReleases(servers, { ...defaults, ...more }, true).of.length;
  t.equal(asked({}), 3);
  t.equal(asked({ k3s_binary: 'files/k3s' }), 0);
  t.equal(asked({ k3s_binary: 'files/k3s', k3s_airgap_images: true }), 3, 'the images come from there');
});

t.test('a release file read back says the same, and the first server that found one is believed', async (t) => {
  t.ok(released.ok);
  if (released.ok) t.same(parseRelease(releaseFile(defaults, released)), released);
  const found = new Map<string, Release>([
    ['server-1', { ok: false, why: 'away' }],
    ['server-2', released],
  ]);
  t.same(chosenRelease(servers, found), released);
  t.same(chosenRelease(servers, new Map([['server-1', { ok: false, why: 'away' }]])), { ok: false, why: 'away' });
});

// --- what is sent ---

/** What `sh -n` says of a script; empty where it is well formed. */
function syntax(script: Script): string {
  return spawnSync('sh', ['-n'], { input: script.standalone(), encoding: 'utf8' }).stderr;
}

t.test('every script is one that a shell can read', async (t) => {
  const states = { 'server-1': member, 'server-2': member };
  const joining = tasksOf(server, 'server-3', serverFacts('server-3', states), {
    vars: { kube_vip_address: '192.0.2.100' },
  });
  const beginning = tasksOf(server, 'server-1', serverFacts('server-1', {}));
  const joiningAgent = tasksOf(agent, 'agent-1', agentFacts(states));
  for (const { tasks, handlers } of [joining, beginning, joiningAgent]) {
    for (const { name, action, options } of [...tasks, ...Object.values(handlers)]) {
      const resources = [action, options.disrupts?.before, options.disrupts?.after];
      for (const resource of resources) {
        if (!resource || !('change' in resource)) continue;
        t.equal(syntax(resource.probe), '', `${name}: probe`);
        t.equal(syntax(resource.change({})), '', `${name}: change`);
      }
    }
  }
  const facts = [
    k3sState,
    k3sSettings,
    etcdMembers,
    clusterToken,
    ownToken,
    release(defaults, true),
    vipObservation('192.0.2.100'),
  ];
  for (const { name, script } of facts) t.equal(syntax(script), '', `fact ${name}`);
});

t.test('a state that is only half an answer is an error, never a host without a cluster', async (t) => {
  t.throws(() => k3sState.parse({ stdout: 'version=v1.36.2+k3s1\n', stderr: '', exitCode: 2 }), /not complete/);
});

t.test('members are read from what etcd really answers', async (t) => {
  // As etcd 3.6.6 answered on its JSON gateway, without a line break at the end.
  const answer =
    '{"header":{"cluster_id":"14706971188910460418","member_id":"517730573628343671","raft_term":"2"},"members":[' +
    '{"ID":"517730573628343671","name":"one-91e52f96","peerURLs":["https://192.0.2.11:2380"],"clientURLs":["https://192.0.2.11:2379"]},' +
    '{"ID":"14603105621031732969","peerURLs":["https://192.0.2.13:2380"],"isLearner":true}]}';
  const run = (script: Script) =>
    spawnSync('sh', [], { input: `curl() { printf %s '${answer}'; }\n${script.standalone()}`, encoding: 'utf8' });
  t.same(parseMembers(run(sh`${hwMembers} yes`).stdout), [
    { id: '517730573628343671', name: 'one-91e52f96', address: '192.0.2.11', learner: false },
    { id: '14603105621031732969', name: '', address: '192.0.2.13', learner: true },
  ]);
  const waiting = run(allVote());
  t.equal(waiting.status, 1);
  t.match(waiting.stdout, /the member at 192\.0\.2\.13 was added and never came up/);
  t.match(run(allVote('192.0.2.13')).stdout, /2 members, all vote/);
  t.match(run(noLeftoverAt('192.0.2.11').probe).stdout, /leftover=none/, 'a voter is never left over');
});

t.test('a learner is left over where nobody listens on its peer port; one that runs is left to finish', async (t) => {
  const at = '127.23.80.1';
  const answer = `{"members":[{"ID":"14603105621031732969","peerURLs":["https://${at}:2380"],"isLearner":true}]}`;
  const probe = async () => {
    const shell = spawn('sh', { stdio: ['pipe', 'pipe', 'inherit'] });
    shell.stdin.end(`curl() { printf %s '${answer}'; }\n${noLeftoverAt(at).probe.standalone()}`);
    return (await shell.stdout.toArray()).join('');
  };
  t.match(await probe(), /^leftover=14603105621031732969/);
  const peer = createServer().listen(2380, at);
  await once(peer, 'listening');
  t.equal(await probe(), 'leftover=none\n');
  peer.close();
});

t.test('a member that another server removed joins anew, its data put aside; nobody else does', async (t) => {
  const own: K3sState = { ...member, server: 'activating', member: 'server-3-cc', joins: 'https://192.0.2.11:6443' };
  const others = '1 server-1-aa 192.0.2.11 voter\n2 server-2-bb 192.0.2.12 voter';
  const titlesWith = (list: string | undefined, state = own, of: K3sState = member) => {
    const members = new Map([['server-1', list === undefined ? undefined : parseMembers(list)]]);
    const states = { 'server-1': of, 'server-2': of, 'server-3': state };
    return titles(tasksOf(server, 'server-3', serverFacts('server-3', states, { members })).tasks);
  };
  const ASIDE = 'Move the data of the removed member aside';
  const removed = titlesWith(others);
  t.match(removed.slice(removed.indexOf('Stop the failing join')), ['Stop the failing join', ASIDE]);
  t.ok(removed.includes('Join the cluster'));
  t.notOk(titlesWith(`${others}\n3 server-3-cc 192.0.2.13 learner`).includes(ASIDE), 'a learner is left to finish');
  t.notOk(titlesWith(`${others}\n3 - 192.0.2.13 learner`).includes(ASIDE), 'one without a name yet, too');
  t.notOk(titlesWith(undefined).includes(ASIDE), 'no list without a quorum');
  t.notOk(
    titlesWith(others, { ...own, server: 'active' }).includes(ASIDE),
    'one that is ready is a member of something',
  );
  const elsewhere = titlesWith(others, own, { ...member, ca: 'bbbb' });
  t.notOk(elsewhere.includes(ASIDE), 'the list of another cluster says nothing');
});

t.test(
  'a failing join is stopped; one that has its data by then is started again, and data goes aside only at rest',
  async (t) => {
    const root = t.testdir({});
    const inRoot = (script: Script, active: string) => {
      const text = script.standalone().replaceAll('/var/lib/rancher', root);
      const fake = `systemctl() { case $1 in show) echo ${active} ;; -q) [ ${active} = active ] ;; *) echo "systemctl $*" ;; esac; }`;
      const { stdout, status } = spawnSync('sh', [], { input: `${fake}\n${text}`, encoding: 'utf8' });
      return { stdout, status };
    };
    const [stop, aside] = [failingJoinStopped(), removedDataAside()];
    t.equal(inRoot(stop.probe, 'activating').stdout, 'failing=yes\n');
    t.equal(inRoot(stop.probe, 'inactive').stdout, 'failing=no\n');
    t.equal(inRoot(stop.change({}), 'activating').stdout, 'systemctl stop k3s.service\n');
    mkdirSync(`${root}/k3s/server/db/etcd/member/wal`, { recursive: true });
    t.equal(inRoot(stop.probe, 'activating').stdout, 'failing=no\n', 'it has its data');
    t.equal(
      inRoot(stop.change({}), 'activating').stdout,
      'systemctl stop k3s.service\nsystemctl start --no-block k3s.service\n',
    );
    t.equal(inRoot(aside.probe, 'inactive').stdout, 'data=present\n');
    t.not(inRoot(aside.change({}), 'active').status, 0);
    t.equal(inRoot(aside.change({}), 'inactive').status, 0);
    t.equal(inRoot(aside.probe, 'inactive').stdout, 'data=absent\n');
    t.match(readdirSync(`${root}/k3s/server/db`).join(), /^etcd-backup-\d+$/, 'nothing is deleted');
  },
);

t.test('our own unit is known again', async (t) => {
  t.ok(text(unitFile('server')).startsWith(MARK));
});
