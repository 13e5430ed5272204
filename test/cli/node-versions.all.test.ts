/**
 * The same playbook on every version of Node: from its sources, then from its compiled file; on newer ones also without
 * tsx.
 */
import { execFile } from 'node:child_process';
import { join, relative } from 'node:path';
import t from 'tap';
import { NODE_VERSIONS, nodeOf } from '../runner/node-versions.ts';
import { clear } from '../support/compile-cache.ts';
import { REPOSITORY } from '../support/program.ts';

const TSX = import.meta.resolve('tsx');
const ENGINE = relative(t.testdirName, join(REPOSITORY, 'engine'));
const cwd = t.testdir({
  hosts: 'node-1 ansible_connection=local\n',
  'playbook.ts': `
import { defineRole, play, playbook, sh, task } from '${ENGINE}/index.ts';
import { command } from '${ENGINE}/resources/command.ts';

const say = defineRole({
  name: 'say',
  description: 'Says something.',
  vars: { properties: {} },
  stages: (stage) => [stage({ name: 'say', tasks: () => [task('Say', command(sh\`echo hello\`))] })],
});

await playbook('Say', [play({ name: 'Everyone', hosts: 'all', roles: [say()], become: false })]);
`,
});
const PLAYBOOK = join(cwd, 'playbook.ts');
t.teardown(() => clear(PLAYBOOK));

/** Runs the playbook on this machine, in check mode so that it waits for no other run, and reads its report. */
async function greet(node: string, flags: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const args = [...flags, PLAYBOOK, '-i', 'hosts', '--check', '--output', 'json'];
  const options = { cwd, env: { ...process.env, NODE_OPTIONS: '', ...env } };
  const { code, stdout, stderr } = await new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
    execFile(node, args, options, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }));
  });
  return { code, stderr, report: stdout === '' ? undefined : JSON.parse(stdout) };
}

for (const version of NODE_VERSIONS) {
  t.test(`Node ${version}`, async (t) => {
    const node = await nodeOf(version);
    // Node reads TypeScript itself from 22.18 on.
    const [major = 0, minor = 0] = version.split('.').map(Number);
    const loaders = [['--import', TSX], ...(major > 22 || (major === 22 && minor >= 18) ? [[]] : [])];
    for (const flags of loaders) {
      await t.test(flags.length > 0 ? 'with tsx' : 'without tsx', async (t) => {
        const sources = await greet(node, flags, { HEARTWOOD_COMPILED: '0' });
        await greet(node, flags);
        const compiled = await greet(node, flags);
        for (const { code, stderr, report } of [sources, compiled])
          t.strictSame({ code, stderr, unreachable: report?.unreachable }, { code: 0, stderr: '', unreachable: [] });
        t.equal(sources.report.startUp.compiled, false);
        t.equal(compiled.report.startUp.compiled, true);
        t.match(sources.report.recap, [{ host: 'node-1', failed: 0, changed: 1 }]);
        t.strictSame(compiled.report.recap, sources.report.recap);
      });
    }
  });
}
