import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { armRevert, disarmRevert } from '../../../engine/resources/dead-man-revert.ts';
import { ufwEnabled } from '../../../engine/resources/ufw.ts';
import { sh, shellFunction } from '../../../engine/script.ts';
import { Secret, SecretText } from '../../../engine/secret.ts';
import { until } from '../../support/until.ts';
import { run, SHELLS } from './local-shell.ts';

t.test('what a revert runs is never masked, even where a secret is a word of it', async (t) => {
  const secret = new Secret('disable');
  const change = ufwEnabled({ keepPort: 22 }).change({});
  t.match(change.reveal(), /'ufw --force disable'/);
  t.notMatch(change.reveal(), /\*\*\*/);
  t.match(change.shown, /ufw --force \*\*\*/, 'what is shown is masked');
  t.equal(secret.reveal(), 'disable');
});

t.test('a revert that holds a secret is refused: it would show in ps on the host', async (t) => {
  const secret = new Secret('open-sesame-77');
  for (const revert of [sh`login ${secret}`, sh`login ${new SecretText(['user:', secret])}`])
    t.throws(() => armRevert('door', 5, revert, sh`true`), { message: /^the revert of door holds a secret/ });
});

const needsRoot = process.getuid?.() !== 0 && 'needs root: reverts are armed in /run';
for (const shell of SHELLS) {
  t.test(`an armed revert runs what it was given, under ${shell.join(' ')}`, { skip: needsRoot }, async (t) => {
    const id = `test-${process.pid}`;
    t.teardown(() => rmSync(`/run/heartwood/revert-${id}`, { force: true }));
    const file = join(t.testdir(), "it's $HOME");
    const write = shellFunction(
      'hw_write_twice',
      'for hw_n in 1 2; do printf "%s %s\\n" "$hw_n" "${2%/*}"; done > "$1"',
    );
    new Secret('reverted/now');
    const { exitCode } = await run(armRevert(id, 1, sh`${write} ${file} reverted/now`, sh`true`), shell);
    t.equal(exitCode, 0);
    await until(20, async () => existsSync(file) && readFileSync(file, 'utf8').endsWith('2 reverted\n'));
    t.equal(
      readFileSync(file, 'utf8'),
      '1 reverted\n2 reverted\n',
      'with its function, its quotes and its dollar signs',
    );
    t.not((await run(disarmRevert(id), shell)).exitCode, 0, 'a confirmation that comes too late fails');
  });
}
