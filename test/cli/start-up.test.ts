/** What a command loads: what it needs, and nothing else. Start-up is part of the product; times are the bench's. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { program, REPOSITORY } from '../support/program.ts';

/** What Heartwood is built on, but for the loader. The test's own packages come into its child processes too. */
const { dependencies } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8')) as { dependencies: object };
const PACKAGES = Object.keys(dependencies).filter((name) => !['tsx', 'esbuild'].includes(name));

/** What `install-k3s` loads with these arguments, from its sources: its own modules, and packages. */
async function loadedBy(cwd: string, ...args: string[]) {
  const log = join(cwd, `loaded-${args.at(-1)}`);
  const { code, stderr } = await program('playbooks/install-k3s.ts', args, {
    cwd,
    env: {
      HEARTWOOD_COMPILED: '0',
      HEARTWOOD_TEST_LOADED: log,
      NODE_OPTIONS: `--import ${join(REPOSITORY, 'test/support/loaded.mjs')}`,
    },
  });
  if (code !== 0) throw new Error(stderr);
  const files = [...new Set(readFileSync(log, 'utf8').trim().split('\n'))];
  const packages = files.flatMap((file) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []);
  const own = files.filter(
    (file) => file.includes(REPOSITORY) && !file.includes('/node_modules/') && !file.includes('/test/'),
  );
  return { own, packages: PACKAGES.filter((name) => packages.includes(name)) };
}

t.test('a command loads what it needs and nothing else', async (t) => {
  const cwd = t.testdir();
  const inventory = ['-i', join(REPOSITORY, 'hosts.example')];
  const help = await loadedBy(cwd, '--help');
  t.strictSame(help.packages, []);
  const hosts = await loadedBy(cwd, ...inventory, '--list-hosts');
  t.strictSame(hosts.packages, ['yaml']);
  const tasks = await loadedBy(cwd, ...inventory, '--list-tasks');
  t.strictSame(tasks.packages, ['ajv', 'handlebars', 'ipaddr.js', 'yaml']);

  const some = ({ own }: typeof help, pattern: RegExp) => own.filter((file) => pattern.test(file)).length > 0;
  for (const file of ['engine/run/run.ts', 'engine/run/plan/select-plays.ts', 'engine/remote/ssh-connector.ts'])
    t.ok(existsSync(join(REPOSITORY, file)), file);
  const [running, listing, roles] = [
    /\/engine\/(run\/run|remote\/ssh-connector)\.ts/,
    /\/engine\/run\/plan\/select-plays\.ts/,
    /\/stages\.ts/,
  ];
  t.strictSame(
    [help, hosts, tasks].map((loaded) => [roles, listing, running].map((pattern) => some(loaded, pattern))),
    [
      [false, false, false],
      [false, true, false],
      [true, true, false],
    ],
  );
  t.comment(`measured: ${[help, hosts, tasks].map(({ own }) => own.length).join(', ')} modules of our own`);
});
