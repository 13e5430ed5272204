/** Password prompts at a terminal: the child has one of its own, made by `script` (util-linux). */
import { type ChildProcess, spawn } from 'node:child_process';
import t, { type Test } from 'tap';
import { REPOSITORY } from '../support/program.ts';
import { until } from '../support/until.ts';

const TSX = import.meta.resolve('tsx');
const cwd = t.testdir({ hosts: 'node-1 ansible_connection=local\n' });

/** Asks for both passwords, at a terminal. `type` types once a prompt is there. */
async function prompted(t: Test, type: (terminal: ChildProcess, shown: () => string) => Promise<void>) {
  const command = `'${process.execPath}' --import '${TSX}' '${REPOSITORY}scripts/run.ts' all -i hosts -k -K -- true`;
  const terminal = spawn('script', ['-qec', `${command}; echo "code $?"; stty -a`, '/dev/null'], { cwd });
  t.teardown(() => terminal.kill('SIGKILL'));
  let shown = '';
  terminal.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
  });
  t.ok(await until(60, async () => shown.includes('SSH password: ')), 'it asks');
  await type(terminal, () => shown);
  await new Promise((resolve) => terminal.once('close', resolve));
  return shown.replaceAll('\r', '');
}

t.test('Ctrl-C at a password prompt ends with 99, before any host is touched', async (t) => {
  const first = await prompted(t, async (terminal) => void terminal.stdin?.write('\x03'));
  t.match(first, /^SSH password: \nstopped by you; no host was touched\ncode 99\n/);
  t.match(first, / echo /, 'the terminal shows what is typed again');
  const second = await prompted(t, async (terminal, shown) => {
    terminal.stdin?.write('one\r');
    await until(60, async () => shown().includes('sudo password'));
    terminal.stdin?.write('\x03');
  });
  t.match(second, /sudo password .*: \nstopped by you; no host was touched\ncode 99\n/);
  t.notMatch(second, /^one$/m, 'what is typed is not shown');
});

t.test('a signal at a password prompt gives the terminal its echo back', async (t) => {
  const shown = await prompted(t, async (terminal) => {
    const child = spawn('sh', ['-c', `for p in $(pgrep -P "$(pgrep -P ${terminal.pid})"); do kill -TERM $p; done`]);
    await new Promise((resolve) => child.once('close', resolve));
  });
  t.match(shown, /stopped by you; no host was touched\ncode 99\n/);
  t.match(shown, / echo /);
});

t.test('the end of input at a prompt says that nothing came', async (t) => {
  const shown = await prompted(t, async (terminal) => void terminal.stdin?.write('\x04'));
  t.match(shown, /SSH password: nothing came on standard input\n {2}try: type it, or pipe it in\ncode 5\n/);
});
