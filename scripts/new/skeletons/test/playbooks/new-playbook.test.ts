/** The playbook new-playbook, without a host. */
import t from 'tap';
import { program, REPOSITORY } from '../../../../../test/support/program.ts';

t.test('new-playbook lists its tasks', async (t) => {
  const inventory = `${REPOSITORY}hosts.example`;
  const { code, stdout, stderr } = await program('playbooks/new-playbook.ts', ['-i', inventory, '--list-tasks'], {
    cwd: t.testdir(),
  });
  t.equal(stderr, '');
  t.equal(code, 0);
  t.match(stdout, /^ +new-role - /m);
});
