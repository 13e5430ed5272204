/** A playbook over an inventory that has two names for this machine, with the sessions and the locks that users get. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { program } from '../support/program.ts';

t.test('two names of one machine are said, and their changes of one file do not meet', async (t) => {
  const cwd = t.testdir();
  const path = join(cwd, 'greeting');
  writeFileSync(
    join(cwd, 'hosts'),
    `[people]\na ansible_connection=local\nb ansible_connection=local\n[people:vars]\ngreet_path=${path}\n`,
  );
  for (let run = 0; run < 3; run++) {
    rmSync(path, { force: true });
    const { code, stdout, stderr } = await program('test/support/playbooks/greet.ts', ['-i', 'hosts'], { cwd });
    t.equal(code, 0, stdout + stderr);
    t.match(stdout, /\b(a and b|b and a) are the same machine/);
    t.match(stdout, /^a : .* failed=0 .*\nb : .* failed=0 /m);
    t.match(readFileSync(path, 'utf8'), 'A warm hello');
  }
});
