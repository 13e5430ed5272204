import { execFile, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { hierarchies } from '../../lab/cgroups.ts';
import type { LabHost } from '../../lab/host.ts';
import { Lab } from '../../lab/lab.ts';
import { directoryOf, labDirectory, repository } from '../../lab/names.ts';
import { completeShape, defaultShape } from '../../lab/shape.ts';
import { parseShape } from '../../lab/shape-file.ts';
import { useLab } from '../support/lab.ts';

const cli = [...['--import', 'tsx'], join(repository, 'scripts/lab.ts')];

/** Runs scripts/lab.ts. */
async function run(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [...cli, ...words], { cwd: repository })) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

/** Everything on this machine that belongs to the lab with this name and number. */
function traces(name: string, number: number): string[] {
  const kernel = new RegExp(`hwlab${number}(?!\\d)`);
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const processes = readdirSync('/proc')
    .filter((id) => /^\d+$/.test(id))
    .map((id) => {
      try {
        const ended = /^State:\tZ/m.test(readFileSync(`/proc/${id}/status`, 'utf8')); // waits for its parent to notice
        const group = readFileSync(`/proc/${id}/cgroup`, 'utf8');
        return !ended && group.includes(`/heartwood/${number}/`) ? `process ${id}` : '';
      } catch {
        return '';
      }
    });
  const loops = readdirSync('/sys/block').filter((device) => {
    const backing = `/sys/block/${device}/loop/backing_file`;
    return existsSync(backing) && readFileSync(backing, 'utf8').startsWith(directoryOf(name));
  });
  return [
    ...mounts.filter((line) => line.includes(directoryOf(name)) || kernel.test(line)),
    ...processes.filter(Boolean),
    ...loops,
    ...hierarchies()
      .map(({ path }) => join(path, 'heartwood', String(number)))
      .filter(existsSync),
    ...readdirSync('/sys/class/net').filter((link) => kernel.test(link)),
    ...(existsSync('/run/netns') ? readdirSync('/run/netns').filter((namespace) => kernel.test(namespace)) : []),
    ...readdirSync('/run/systemd/nspawn/propagate').filter((machine) => kernel.test(machine)),
    ...[directoryOf(name)].filter(existsSync),
  ];
}

/** What admin types to become root. */
const asRoot = ({ shape }: LabHost): string => `echo ${shape.sudo_password} | sudo -S -p "" id -u`;

t.test(
  'down leaves no process, mount, device, namespace, control group or file, whatever its hosts were doing',
  async (t) => {
    const lab = await useLab(t, { hosts: [{ name: 'node-1' }, { name: 'node-2' }, { name: 'node-3' }] });
    await lab
      .host('node-1')
      .read('mount -t tmpfs tmpfs /mnt; setsid sleep 1000 >/dev/null 2>&1 & ip link add br9 type bridge');
    await lab.host('node-2').kill();
    lab.host('node-3').freeze();
    t.ok(traces(lab.name, lab.state.number).length > 10, 'the look for traces finds them while it is up');
    await lab.down();
    t.same(traces(lab.name, lab.state.number), []);
    t.throws(() => Lab.open(lab.name), { message: /no lab called/ });
    await lab.down();
  },
);

t.test('a lab whose up was killed at any moment is taken down by its name', async (t) => {
  const shape = join(t.testdir({ 'two.yaml': 'hosts: [{ name: node-1 }, { name: node-2 }]\n' }), 'two.yaml');
  // Killed when a file appears: right after the claim, with disks half made, and with hosts half booted.
  for (const moment of ['lab.json', 'node-1/disk.img', 'node-1/console.log']) {
    const name = `test-${process.pid}-99`;
    const up = spawn(process.execPath, [...cli, 'up', '--name', name, '--shape', shape], { cwd: repository });
    const ended = new Promise((resolve) => up.once('exit', resolve));
    while (!existsSync(join(directoryOf(name), moment)) && up.exitCode === null)
      await new Promise((resolve) => setTimeout(resolve, 2));
    up.kill('SIGKILL');
    await ended;
    const { number } = Lab.open(name).state;
    t.equal((await run('down', '--name', name)).code, 0, `killed when ${moment} appeared`);
    t.same(traces(name, number), []);
  }
});

t.test('two labs at once have subnets of their own and see nothing of each other', async (t) => {
  const [one, two] = await Promise.all([
    useLab(t, { hosts: [{ name: 'node-1' }] }),
    useLab(t, {
      hosts: [{ name: 'node-1', ssh_port: 2222, user: 'root', sudo: 'refused', ufw: false, groups: ['odd'] }],
    }),
  ]);
  t.not(one.state.number, two.state.number);
  t.not((await one.host('node-1').exec(`ping -c 1 -W 1 ${two.host('node-1').address}`)).code, 0);
  t.equal(
    await one.host('node-1').read(`curl -s -o /dev/null -w '%{http_code}' ${one.mirror}/`),
    '404',
    'it reaches its own mirror',
  );

  t.test('and each host is what its shape says', async (t) => {
    const ssh = async (lab: Lab, user: string, command: string) =>
      promisify(execFile)('ssh', ['-F', lab.files.sshConfig, '-l', user, 'node-1', command]).then(
        ({ stdout }) => stdout.trim(),
        (error: { stderr: string }) => error.stderr.trim(),
      );
    const become = asRoot(one.host('node-1'));
    t.equal(await ssh(one, 'admin', become), '0');
    t.match(await ssh(one, 'admin', 'echo wrong | sudo -S -p "" id -u'), /incorrect password/);
    t.match(await ssh(two, 'admin', become), /not in the sudoers file/);
    t.equal(await ssh(two, 'root', 'command -v python3 ufw || echo neither'), 'neither');
    t.match(
      await ssh(two, 'root', 'apt-get update -q >/dev/null && apt-get install -qy hello >/dev/null 2>&1 && hello'),
      'Hello, world!',
    );
    t.match(readFileSync(two.inventory, 'utf8'), /^node-1 ansible_host=\S+ ansible_user=root ansible_port=2222$/m);
    t.equal(
      await ssh(one, 'root', 'systemctl is-system-running --wait; grep -c shared:.*overlay /proc/self/mountinfo'),
      'running\n1',
    );
    const groups = await ssh(
      one,
      'root',
      "cut -d: -f2- /proc/1/cgroup | grep -v '/init.scope$' | grep -v ':/$' | wc -l",
    );
    t.equal(groups, '0', 'its control groups begin with itself, in every hierarchy');
  });
});

t.test('an emulated host is real: its architecture, its sudo, its firewall', async (t) => {
  const lab = await useLab(t, { hosts: [{ name: 'node-4', arch: process.arch === 'x64' ? 'arm64' : 'amd64' }] });
  const host = lab.host('node-4');
  t.equal(await host.read('uname -m'), process.arch === 'x64' ? 'aarch64' : 'x86_64');
  t.equal(await host.read('systemctl is-system-running --wait'), 'running');
  t.equal(await host.read(`su admin -c '${asRoot(host)}'`), '0');
  t.match(await host.read('ufw allow 22/tcp && ufw --force enable && ufw status'), /22\/tcp +ALLOW/);
  t.ok(await host.answers());
});

t.test('a shape is read strictly, each mistake with its place', async (t) => {
  t.same(
    parseShape(readFileSync(join(repository, 'lab/shapes/default.yaml'), 'utf8'), 'x'),
    defaultShape,
    'the documented default is the default',
  );
  for (const file of readdirSync(join(repository, 'lab/shapes'))) {
    t.doesNotThrow(() => parseShape(readFileSync(join(repository, 'lab/shapes', file), 'utf8'), file), file);
  }
  t.equal(completeShape({ hosts: [{ name: 'a' }] }).k3s, false, 'a test that names hosts gets no k3s unasked');
  const wrong = (text: string) => {
    try {
      parseShape(text, 's.yaml');
    } catch (error) {
      return error instanceof Error ? error.message : '';
    }
    return 'accepted';
  };
  t.match(
    wrong('hosts:\n  - name: a\n    archs: arm64\n'),
    's.yaml:3:5: a host has no "archs"\n  allowed: name, arch,',
  );
  t.match(wrong('hosts:\n  - name: a\n    archs: arm64\n'), 'did you mean "arch"?');
  t.match(wrong('hosts:\n  - name: a\n    arch: x86\n'), `s.yaml:3:11: arch can't be "x86"\n  allowed: amd64, arm64`);
  t.match(wrong('hosts: []\n'), "s.yaml:1:8: hosts can't be []");
  t.match(wrong('k3s: true\n'), 's.yaml:1:1: a shape needs hosts');
  t.match(wrong('hosts: [{ arch: arm64 }]\n'), 's.yaml:1:9: a host needs a name');
  t.match(wrong('hosts: [{ name: a }, { name: a }]\n'), 's.yaml:1:22: there are two hosts called "a"');
  t.match(wrong('hosts: [{ name: ../x }]\n'), /name can't be "..\/x"/);
  t.match(
    wrong('hosts: [{ name: a, ssh_port: 70000 }]\nk3s: maybe\n'),
    /ssh_port can't be 70000[\s\S]*s\.yaml:2:6: k3s can't be "maybe"/,
    'all at once',
  );
  t.match(wrong('hosts: [\n'), /^s\.yaml:\d+:\d+: /);
  t.match(wrong('- a\n'), 's.yaml:1:1: a shape is no mapping');
});

t.test('the command line says what is wrong, and what might have been meant', async (t) => {
  t.match(await run('--help'), { code: 0, stdout: /fault KIND/ });
  t.match(await run('stats'), { code: 5, stderr: /unknown command "stats"[\s\S]*did you mean "status"/ });
  t.match(await run('fault', 'frezze', 'x'), { code: 5, stderr: /unknown fault "frezze"[\s\S]*did you mean "freeze"/ });
  t.match(await run('up', '--shpae', 'x'), {
    code: 5,
    stderr: /unknown option "--shpae"[\s\S]*did you mean "--shape"/,
  });
  t.match(await run('up', '--shape', 'no.yaml'), { code: 1, stderr: /there is no shape file no.yaml/ });
  t.match(await run('exec', 'node-1', '--name', 'nowhere', '--', 'true'), {
    code: 1,
    stderr: /no lab called "nowhere"/,
  });

  const lab = await useLab(t, { hosts: [{ name: 'node-1' }] });
  t.match(await run('up', '--name', lab.name, '--no-k3s'), { code: 1, stderr: /a lab called .* is up/ });
  t.match(await run('exec', 'nod-1', '--name', lab.name, '--', 'true'), {
    code: 1,
    stderr: /no host "nod-1"[\s\S]*did you mean "node-1"/,
  });
  t.same(await run('exec', 'node-1', '--name', lab.name, '--', 'echo out; echo err >&2; exit 7'), {
    code: 7,
    stdout: 'out\n',
    stderr: 'err\n',
  });
  t.match(await run('ssh', 'node-1', '--name', lab.name, '--', 'hostname'), { code: 0 });
  t.match(await run('fault', 'drop', '99999/tcp', '--to', 'node-1', '--name', lab.name), {
    code: 5,
    stderr: /is no port/,
  });
  t.match(await run('fault', 'drop', '2380/tcp', '--name', lab.name), { code: 5, stderr: /say to which host/ });
  t.equal((await run('fault', 'drop', '2380/tcp', '--to', 'node-1', '--from', 'machine', '--name', lab.name)).code, 0);
  t.match(await run('status', '--name', lab.name), {
    stdout: /node-1 +10\.89\.\d+\.11 +amd64 +server +on, 2380\/tcp from machine dropped/,
  });
  t.equal((await run('fault', 'restore', '--name', lab.name)).code, 0);
  t.match(await run('status', '--name', lab.name), { stdout: /on\n$/ });
});

t.test('what cannot be is said before anything is done', async (t) => {
  // As a user who isn't root: nothing is left that root would have to clear away.
  const { code, stderr } = await promisify(execFile)(
    'setpriv',
    ['--reuid=65534', '--clear-groups', process.execPath, ...cli, 'up', '--name', 'never'],
    {
      cwd: repository,
    },
  ).then(
    () => ({ code: 0, stderr: '' }),
    (error: { code: number; stderr: string }) => error,
  );
  t.equal(code, 1);
  t.match(stderr, /a lab needs root/);
  // Labs of other tests come and go beside it.
  t.notOk(readdirSync(labDirectory()).includes('never'));
});
