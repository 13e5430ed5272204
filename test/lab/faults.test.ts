import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import t from 'tap';
import { useLab } from '../support/lab.ts';
import { program } from '../support/program.ts';

const lab = await useLab(t, { hosts: [{ name: 'node-1' }, { name: 'node-2' }] });
const one = lab.host('node-1');
const two = lab.host('node-2');

/** What a host says of a TCP connection to a port of node-2: open, refused, or dropped. */
async function tcp(from: typeof one, port: number): Promise<string> {
  const { code, stderr } = await from.exec(`socat -u OPEN:/dev/null TCP:${two.address}:${port},connect-timeout=1`);
  if (code === 0) return 'open';
  return stderr.includes('Connection refused') ? 'refused' : stderr.includes('timed out') ? 'dropped' : stderr;
}

t.test('a dropped port hangs, in one direction only, from one host or from everyone, whatever ufw does', async (t) => {
  t.equal(await tcp(one, 2380), 'refused', 'nothing listens');
  await two.drop({ port: 2380, from: 'node-1' });
  t.equal(await tcp(one, 2380), 'dropped');
  t.equal(await tcp(one, 2379), 'refused', 'another port is not dropped');
  t.equal(await tcp(two, 2380), 'refused', 'nor is the host itself');
  await two.read('ufw allow 22/tcp && ufw allow 2380/tcp && ufw --force enable && ufw reload');
  t.equal(await tcp(one, 2380), 'dropped', 'ufw reload does not lift it');
  await two.read('ufw --force reset');
  await two.undrop({ port: 2380, from: 'node-1' });
  t.equal(await tcp(one, 2380), 'refused');

  await two.drop({ port: 8472, proto: 'udp' });
  t.same(await two.faults(), ['8472/udp from everyone dropped']);
  const listening = two.exec('timeout 2 socat -u UDP-RECV:8472 STDOUT');
  const other = two.exec('timeout 2 socat -u UDP-RECV:8473 STDOUT');
  await one.read(`sleep 0.5; for port in 8472 8473; do echo hello | socat - UDP:${two.address}:$port; done`);
  t.equal((await listening).stdout, '', 'no packet came');
  t.equal((await other).stdout, 'hello\n', 'another port gets them');
  await two.restore();
  t.same(await two.faults(), []);
  await t.rejects(two.drop({ port: 1, from: 'node-9' }), { message: /has no host "node-9"/ });
});

t.test('a cut host is away for everyone until it is restored, and exec still reaches it', async (t) => {
  await two.cut();
  t.notOk(await two.answers(500));
  t.not((await one.exec(`ping -c 1 -W 1 ${two.address}`)).code, 0);
  t.equal(await two.read('hostname'), 'node-2');
  await two.restore();
  t.ok(await two.answers());
  t.equal((await one.exec(`ping -c 1 -W 1 ${two.address}`)).code, 0);
});

t.test('a frozen host takes connections and says nothing; thawed it goes on', async (t) => {
  two.freeze();
  t.equal(two.power, 'frozen');
  t.notOk(await two.answers(500));
  await t.rejects(two.exec('true'), { message: /frozen/ });
  two.thaw();
  t.equal(two.power, 'on');
  t.ok(await two.answers());
});

t.test('a killed host is off at once and starts again with its disk as it was, under a new boot id', async (t) => {
  const before = await two.read('cat /proc/sys/kernel/random/boot_id');
  await two.read('echo kept > /var/lib/kept; echo kept > /var/lib/rancher/kept; ip link add dummy1 type bridge');
  const socket = connect(two.shape.ssh_port, two.address);
  await new Promise((resolve) => socket.once('data', resolve));
  await two.kill();
  t.equal(two.power, 'off');
  socket.destroy();
  t.notOk(await two.answers(300));
  await t.rejects(two.exec('true'), { message: /node-2: the host is off/ });
  await two.start();
  t.not(await two.read('cat /proc/sys/kernel/random/boot_id'), before);
  t.equal(await two.read('cat /var/lib/kept /var/lib/rancher/kept'), 'kept\nkept');
  t.notMatch(await two.read('ip -br link'), 'dummy1', 'its network is new, as after a real boot');
});

t.test('a reboot comes back under a new boot id, with drops still dropped', async (t) => {
  const before = await one.read('cat /proc/sys/kernel/random/boot_id');
  await two.drop({ port: 2380 });
  await one.reboot();
  await two.reboot();
  t.not(await one.read('cat /proc/sys/kernel/random/boot_id'), before);
  t.equal(await tcp(one, 2380), 'dropped');
  await two.restore();
});

t.test('a full disk takes no byte more, until it is restored', async (t) => {
  one.fillDisk();
  for (const place of ['/var/lib/x', '/var/lib/rancher/x']) {
    t.match(await one.exec(`cp /etc/hostname ${place}`), { code: 1, stderr: /No space left on device/ });
  }
  t.match(await one.read('df --output=avail / | tail -1'), /^ *0$/);
  await one.restore();
  t.equal(await one.read('echo more > /var/lib/x; cat /var/lib/x'), 'more');
});

t.test('a skewed clock is what the programs of the host read, also by ssh and sudo', async (t) => {
  const now = () => Math.floor(Date.now() / 1000);
  one.skewClock(-7200);
  t.ok(Math.abs(Number(await one.read('date +%s')) - (now() - 7200)) <= 2);
  t.same(await one.faults(), ['clock -7200s']);
  const asked = ['node-1', '-i', lab.inventory, '--', 'sh', '-c', 'id -u; date +%s'];
  const { stdout } = await program('scripts/run.ts', asked, { cwd: t.testdir() });
  const [, time = ''] = /exit code 0\n {2}0\n {2}(\d+)/.exec(stdout) ?? [];
  t.ok(Math.abs(Number(time) - (now() - 7200)) <= 5, stdout);
  await one.restore();
  t.ok(Math.abs(Number(await one.read('date +%s')) - now()) <= 2);
  const set = `date -s @$(($(date +%s) + 1))`; // the machine's clock is not a host's to set, not even by exec
  t.match(await one.exec(set), { code: 1, stderr: /Operation not permitted/ });
  t.not((await one.exec(`systemd-run --quiet --wait sh -c '${set}'`)).code, 0);
});

t.test('commands on a host return exit code, output and errors apart, and read their input', async (t) => {
  t.same(await one.exec('cat; echo err >&2; exit 3', { input: 'in' }), { code: 3, stdout: 'in', stderr: 'err\n' });
  await t.rejects(one.read('echo why >&2; false'), { message: /node-1: exit code 1 from: .*\nwhy/ });
  t.ok(existsSync(lab.inventory));
  t.match(readFileSync(lab.inventory, 'utf8'), /^node-1 ansible_host=10\.89\.\d+\.11 ansible_user=admin /m);
});
