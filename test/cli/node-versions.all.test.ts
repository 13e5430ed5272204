/** The same playbook on every version of Node: from its sources, then from its compiled file; on newer ones also without tsx. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { NODE_VERSIONS, nodeOf } from '../runner/node-versions.ts';
import { REPOSITORY } from '../support/program.ts';

const PLAYBOOK = join(REPOSITORY, 'test/support/playbooks/greet.ts');
const TSX = import.meta.resolve('tsx');
const cwd = t.testdir({ hosts: '[people]\nnode-1 ansible_connection=local\n' });
writeFileSync(
  join(cwd, 'vars.json'),
  JSON.stringify({ greet_path: join(cwd, 'greeting'), greet_token: 'open-5esame' }),
);

/** Runs the playbook on a local host, which it only looks at, and reads its report. */
async function greet(node: string, flags: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const args = [...flags, PLAYBOOK, '-i', 'hosts', '-e', '@vars.json', '--check', '--output', 'json'];
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
        for (const { code, stderr } of [sources, compiled]) t.strictSame({ code, stderr }, { code: 0, stderr: '' });
        t.equal(sources.report.startUp.compiled, false);
        t.equal(compiled.report.startUp.compiled, true);
        t.match(sources.report.recap, [{ host: 'node-1', failed: 0, changed: 2 }]);
        t.strictSame(compiled.report.recap, sources.report.recap);
      });
    }
  });
}
