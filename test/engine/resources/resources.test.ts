/** What resources do without a host of their own: on this machine, or in theory. Real hosts: test/contract. */
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import t from 'tap';
import { type Resource, UNCHANGED } from '../../../engine/resource.ts';
import { apt } from '../../../engine/resources/apt.ts';
import { command } from '../../../engine/resources/command.ts';
import { byArch, download } from '../../../engine/resources/download.ts';
import { kernelModule } from '../../../engine/resources/kernel-module.ts';
import { kubernetesAbsent, kubernetesObject } from '../../../engine/resources/kubernetes.ts';
import { sysctl } from '../../../engine/resources/sysctl.ts';
import { unit, unitRestarted } from '../../../engine/resources/systemd.ts';
import { type UfwRule, ufwEnabled, ufwRule } from '../../../engine/resources/ufw.ts';
import { PERMANENT, waitFor, waitForHttp, waitForPort } from '../../../engine/resources/wait.ts';
import { sh } from '../../../engine/script.ts';
import { Secret } from '../../../engine/secret.ts';
import { badMirror, downloads } from '../../contract/examples/downloads.ts';
import { apply, probe, run, SHELLS } from './local-shell.ts';

t.test('what is wrong with a resource whatever the host is refused', async (t) => {
  const wrong: [() => Resource, RegExp][] = [
    [
      () => unit('ssh', { active: true, ...{ enable: true } }),
      /unknown option "enable" in unit[\s\S]*did you mean "enabled"\?/,
    ],
    [
      () => command(sh`x`, { id: 'x', ...{ onlyif: sh`y` } }),
      /unknown option "onlyif" in command\n {2}allowed: id, creates, unless/,
    ],
    [
      () => waitFor({ what: 'x', script: sh`x`, deadline: 1, ...{ interval: 1 } }),
      /unknown option "interval" in waitFor/,
    ],
    [() => ufwRule({ action: 'allow', ...{ protocol: 'tcp' } }), /unknown option "protocol" in ufwRule/],
    [() => apt('ufw', { state: 'latest' as 'present' }), /apt: state is "latest"\n {2}allowed: present, absent/],
  ];
  for (const [make, message] of wrong) t.throws(make, { message });
});

for (const shell of SHELLS) {
  t.test(`a command, under ${shell.join(' ')}`, async (t) => {
    const dir = t.testdir();
    const made = join(dir, 'made');
    t.strictSame((await apply(command(sh`touch ${made}`, { creates: made }), shell)).after, []);
    t.equal(
      (await apply(command(sh`false`, { creates: made }), shell)).outcome,
      undefined,
      'is not run where its file is there',
    );
    t.equal(
      (await apply(command(sh`false`, { unless: sh`true` }), shell)).outcome,
      undefined,
      'or where its condition holds',
    );
    const judged = (said: string) =>
      command(sh`echo ${said}; echo it`, { changed: (stdout) => sh`case ${stdout} in *created*) ;; *) false ;; esac` });
    t.match((await apply(judged('created'), shell)).outcome, { exitCode: 0, stdout: 'created\nit\n' });
    t.match((await apply(judged('found'), shell)).outcome, { exitCode: UNCHANGED }, 'can say that it changed nothing');
    const failing = command(sh`echo no; exit 7`, { changed: () => sh`true` });
    t.match((await apply(failing, shell)).outcome, { exitCode: 7, stdout: 'no\n' });
  });

  t.test(`a wait, under ${shell.join(' ')}`, async (t) => {
    const dir = t.testdir();
    const counted = waitFor({
      what: 'three tries',
      script: sh`echo x >> ${dir}/tries; n=$(grep -c x ${dir}/tries); echo "try $n"; [ "$n" -ge 4 ]`,
      deadline: 30,
      every: 0.1,
    });
    const { outcome } = await apply(counted, shell);
    t.match(
      outcome?.stdout,
      /^last seen: try 2\nlast seen: try 3\nholds after \d s: try 4\n$/,
      'shows what it sees while it waits',
    );
    const permanent = waitFor({ what: 'the moon', script: sh`echo gone; exit ${PERMANENT}`, deadline: 600 });
    const ended = await run(permanent.change({}), shell);
    t.match(permanent.explain?.(ended), { what: 'waited for the moon, which will never be; last seen: gone' });
    const endless = waitFor({ what: 'the moon', script: sh`echo high; false`, deadline: 0 });
    t.match(endless.explain?.(await run(endless.change({}), shell)), {
      what: /^timed out after 0 s of waiting for the moon; last seen: high$/,
    });
    const silent = waitFor({ what: 'the moon', script: sh`false`, deadline: 0 });
    t.match(silent.explain?.(await run(silent.change({}), shell)), { what: /it printed nothing/ });
  });

  t.test(`probes of what this machine may lack, under ${shell.join(' ')}`, async (t) => {
    const empty = { PATH: pathWith(t.testdir(), ['sh', 'sed', 'grep', 'uname', 'cat', 'stat', 'head', 'tail']) };
    const kubectl = sh`kubectl`;
    const lacking: [Resource, object][] = [
      [apt(['ufw', 'g++']), { ufw: 'absent', 'g++': 'absent' }],
      [unit('ssh', { active: true, enabled: true }), { active: 'no', enabled: 'no', load: 'not-found' }],
      [ufwRule({ action: 'allow', port: 22 }), { installed: 'no' }],
      [ufwEnabled({ keepPort: 22 }), { installed: 'no', enabled: 'no' }],
      [kernelModule('no_such'), { loaded: 'no', kept: 'no' }],
      [sysctl('net.no.such', 1), { now: 'absent', kept: 'absent' }],
      [kubernetesAbsent({ kind: 'pod', name: 'x', kubectl }), { api: 'no', object: 'unknown' }],
      [
        kubernetesObject({ manifest: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x' } }, kubectl }),
        { api: 'no', applied: 'no' },
      ],
    ];
    for (const [resource, found] of lacking)
      t.match(await probe(resource, shell, empty), found, `${resource.kind} ${resource.id}`);
  });
}

/** A PATH of one directory, with these commands of this machine only. */
function pathWith(dir: string, commands: readonly string[]): string {
  const bin = join(dir, 'bin');
  mkdirSync(bin, { recursive: true });
  for (const command of commands) {
    const found = (process.env['PATH'] ?? '')
      .split(':')
      .map((part) => join(part, command))
      .find(existsSync);
    if (found) symlinkSync(found, join(bin, command));
  }
  return bin;
}

t.test('ports and URLs are waited for with whatever the host has', async (t) => {
  const server = createServer((_, response) => response.writeHead(401).end());
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.teardown(() => server.close());
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  for (const tool of ['curl', 'bash', 'nc', 'wget']) {
    const dir = t.testdir({ [tool]: {} });
    const PATH = pathWith(join(dir, tool), [tool, 'timeout', 'sed', 'tail', 'sleep']);
    if (!existsSync(join(PATH, tool))) continue;
    if (tool !== 'wget') {
      t.match(
        await probe(waitForPort({ port, deadline: 1 }), ['/bin/sh'], { PATH }),
        { holds: 'yes' },
        `a port, by ${tool}`,
      );
      t.match(await probe(waitForPort({ port: 1, deadline: 1 }), ['/bin/sh'], { PATH }), { holds: 'no' });
    }
    if (tool === 'curl' || tool === 'wget') {
      const url = `http://127.0.0.1:${port}/`;
      t.match(
        await probe(waitForHttp({ url, status: [200, 401], deadline: 1 }), ['/bin/sh'], { PATH }),
        { holds: 'yes', seen: '401' },
        `a URL, by ${tool}`,
      );
      t.match(await probe(waitForHttp({ url, deadline: 1 }), ['/bin/sh'], { PATH }), { holds: 'no', seen: '401' });
    }
  }
});

t.test(
  'a download by wget, where there is no curl, ends like one by curl',
  { skip: process.getuid?.() !== 0 && 'needs root' },
  async (t) => {
    const mirror = await badMirror('127.0.0.1');
    t.teardown(() => mirror.close());
    const tools = [
      'wget',
      'stat',
      'sha256sum',
      'rm',
      'mv',
      'mkdir',
      'chown',
      'chmod',
      'sync',
      'sleep',
      'cat',
      'head',
      'ls',
      'readlink',
      'curl',
    ];
    for (const without of ['curl', 'wget']) {
      const dir = t.testdir();
      const PATH = pathWith(
        dir,
        tools.filter((tool) => tool !== without),
      );
      if (!existsSync(join(PATH, without === 'curl' ? 'wget' : 'curl'))) continue;
      for (const { name, resource, prepare, fails } of downloads(mirror.url)) {
        await run(sh`rm -rf /srv/contract; mkdir -p /srv/contract; ${prepare ?? sh``}`);
        const { outcome, after } = await apply(resource, ['/bin/sh'], { PATH });
        if (fails)
          t.match(
            JSON.stringify(resource.explain?.(outcome ?? { exitCode: 0, stdout: '', stderr: '' })),
            fails,
            `without ${without}: ${name}`,
          );
        else t.strictSame([outcome?.exitCode, after], [0, []], `without ${without}: ${name}`);
      }
    }
    await run(sh`rm -rf /srv/contract`);
  },
);

t.test('what cannot be meant is refused before any host is asked', async (t) => {
  const rule = (given: Partial<UfwRule>) => () => ufwRule({ action: 'allow', ...given });
  const sha256 = 'a'.repeat(64);
  for (const [make, pattern] of [
    [() => apt('Ufw'), /"Ufw" is no package name/],
    [() => apt([]), /no package name/],
    [() => apt(['a1', 'b1'], { version: '1' }), /needs exactly one package/],
    [() => sysctl('swappiness', 1), /"swappiness" is no kernel parameter/],
    [() => kernelModule('a b'), /"a b" is no kernel module/],
    [() => download({ path: '/x', url: 'ftp://x/y', sha256 }), /"ftp:\/\/x\/y" is no URL/],
    [() => download({ path: '/x', url: 'http://x/y', sha256: 'abc' }), /"abc" is no sha256/],
    [
      () => byArch({ amd64: 1, arm64: 2 }, 'amd46'),
      /nothing for architecture amd46\n {2}allowed: amd64, arm64\n {2}try: did you mean "amd64"/,
    ],
    [rule({ from: '10.0.0.300' }), /"10.0.0.300" is no address/],
    [rule({ from: '10.0.0.0/33' }), /"10.0.0.0\/33" is no address/],
    [rule({ from: '10.0.0.1', to: 'fd00::1' }), /two families/],
    [rule({ port: 'ssh' }), /"ssh" is no port/],
    [rule({ port: '80,443' }), /needs a protocol/],
    [rule({ comment: "it's" }), /has a quote/],
    [rule({ inIface: 'a', outIface: 'b' }), /two interfaces/],
  ] as const) {
    t.throws(make, { name: 'UserError', message: pattern });
  }
});

t.test('an architecture is found by any of its names', async (t) => {
  const table = { amd64: 'k3s', arm64: 'k3s-arm64', arm: 'k3s-armhf' };
  t.strictSame(
    ['x86_64', 'aarch64', 'armv7l', 'arm64'].map((arch) => byArch(table, arch)),
    ['k3s', 'k3s-arm64', 'k3s-armhf', 'k3s-arm64'],
  );
  t.throws(() => byArch(table, 'toString'), { name: 'UserError' });
});

t.test('a failure is explained: what it means, and what to try', async (t) => {
  const object = kubernetesObject({
    manifest: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x' } },
    kubectl: sh`kubectl`,
  });
  const cases: [Resource, string, RegExp][] = [
    [apt('x1'), "E: You don't have enough free space in /var/cache/apt/archives/.", /disk is full.*df -h/],
    [apt('x1'), 'dpkg: error: write: No space left on device', /disk is full/],
    [
      apt('x1'),
      'E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (unattended-upgr)',
      /process 812 \(unattended-upgr\)/,
    ],
    [
      apt('x1'),
      'E: Release file for http://deb/InRelease is not valid yet (invalid for another 3h)',
      /clock of this host is behind.*timedatectl/,
    ],
    [apt('x1'), "Temporary failure resolving 'deb.example'", /deb.example cannot be resolved.*resolvectl/],
    [apt('x1'), "Package 'x1' has no installation candidate", /no repository of this host has the package x1/],
    [apt('x1'), "E: The repository 'http://deb x' is not signed.", /not signed/],
    [
      unit('k3s', {}),
      'Failed to start k3s.service: Unit k3s.service not found.\nLoadState=not-found',
      /there is no unit k3s/,
    ],
    [unit('k3s', {}), 'LoadState=bad-setting', /not valid.*systemd-analyze verify/],
    [unit('k3s', {}), 'System has not been booted with systemd as init system', /not booted with systemd/],
    [
      unitRestarted('k3s'),
      'LoadState=loaded\nResult=timeout\nExecMainStatus=0',
      /did not start: timeout;.*journalctl -u k3s/,
    ],
    [object, 'The connection to the server 127.0.0.1:6443 was refused', /API does not answer/],
    [
      object,
      'error: resource mapping not found: no matches for kind "Addon" in version "x"',
      /does not know the kind Addon.*CustomResourceDefinition/,
    ],
    [object, 'namespaces "storage" not found', /namespace storage is not there/],
    [object, 'error: timed out waiting for the condition', /not ready in time.*deadline of waitFor/],
    [
      object,
      'heartwood: not ready: d-x on node-1: CrashLoopBackOff; last event: BackOff: Back-off restarting failed container',
      /is not ready in time: d-x on node-1: CrashLoopBackOff; last event: .*kubectl logs --previous/,
    ],
    [ufwRule({ action: 'allow' }), 'ERROR: Bad port', /ufw refuses: Bad port/],
    [ufwRule({ action: 'allow' }), 'ERROR: problem running ufw-init', /kernel or iptables refused/],
    [kernelModule('zfs'), 'modprobe: FATAL: Module zfs not found in directory /lib/modules/6', /no module zfs.*reboot/],
    [
      download({ path: '/x', url: 'http://a/x', sha256: 'a'.repeat(64) }),
      'heartwood: http://a/x: curl: (6) Could not resolve host: a',
      /http:..a.x: its name cannot be resolved/,
    ],
    [
      download({ path: '/x', url: 'http://a/x', sha256: 'a'.repeat(64) }),
      'heartwood: http://a/x: curl: (60) SSL certificate problem: certificate is not yet valid',
      /certificate is not accepted.*clock/,
    ],
    [
      download({ path: '/x', url: 'http://a/x', sha256: 'a'.repeat(64) }),
      'curl: (23) write error: No space left on device',
      /disk .* is full/,
    ],
  ];
  for (const [resource, stderr, pattern] of cases) {
    const { what = '', hint = '' } = resource.explain?.({ exitCode: 1, stdout: '', stderr }) ?? {};
    t.match(`${what} ${hint}`, pattern, stderr);
  }
  t.equal(
    apt('x1').explain?.({ exitCode: 1, stdout: '', stderr: 'something else' }),
    undefined,
    'what is not known is not guessed',
  );
});

t.test('kubernetes objects go through the kubectl they are given', async (t) => {
  const dir = t.testdir();
  const kubectl = join(dir, 'kubectl');
  const log = join(dir, 'log');
  const stub = (body: string) => {
    writeFileSync(kubectl, `#!/bin/sh\necho "$*" >> ${log}\n${body}\n`);
    chmodSync(kubectl, 0o755);
  };
  const password = new Secret('pass"word-1');
  const object = kubernetesObject({
    manifest: [
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', namespace: 'n' }, stringData: { password } },
      { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: { name: 'd', namespace: 'n' } },
    ],
    kubectl: sh`${kubectl}`,
    waitFor: { condition: 'rolled out', deadline: 7 },
  });

  stub('case $1 in diff) exit 1 ;; rollout) echo Waiting for it ;; esac');
  t.strictSame(await probe(object), { api: 'yes', applied: 'no', ready: 'no' });
  stub('case $1 in rollout) echo daemon set "d" successfully rolled out ;; esac');
  t.strictSame(await probe(object), { api: 'yes', applied: 'yes', ready: 'yes' });
  stub('echo "noise" >&2; echo "The connection to the server was refused" >&2; exit 1');
  stub('[ $1 != diff ] || { echo noise >&2; echo "connection refused" >&2; exit 2; }');
  t.match(await probe(object), { api: 'no', applied: 'no', why: 'connection refused' });

  writeFileSync(log, '');
  stub(`[ $1 != apply ] || cat > ${dir}/applied`);
  t.equal((await run(object.change({}))).exitCode, 0);
  const { readFileSync } = await import('node:fs');
  t.strictSame(JSON.parse(readFileSync(`${dir}/applied`, 'utf8')).items[0].stringData, { password: 'pass"word-1' });
  const said = readFileSync(log, 'utf8');
  t.match(
    said,
    /^apply --server-side --field-manager=heartwood --force-conflicts -f -\nrollout status --timeout=7s -n n daemonset.apps\/d\n$/,
  );
  t.notMatch(object.change({}).shown + JSON.stringify(object.wanted) + said, /pass.?"word-1/, 'a secret goes by stdin');
});
