/** new-resource in the shells of this machine. On real hosts: test/contract. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { apply, SHELLS } from '../../../../../../test/engine/resources/local-shell.ts';
import { newResource } from '../../../engine/resources/new-resource.ts';

for (const shell of SHELLS) {
  t.test(`new-resource, under ${shell.join(' ')}`, async (t) => {
    const path = join(t.testdir(), 'it is here');
    const first = await apply(newResource({ path }), shell);
    t.strictSame(first.before, [{ key: 'present', found: 'no', wanted: 'yes' }]);
    t.strictSame(first.after, []);
    t.ok(existsSync(path));
    t.equal((await apply(newResource({ path }), shell)).outcome, undefined, 'twice is once');
  });
}

t.test('new-resource refuses what no host could do', async (t) => {
  t.throws(() => newResource({ path: 'relative' }), { message: /relative/ });
  t.throws(() => newResource({ path: '/srv/it', ...{ pth: '' } }), { message: /unknown option "pth" in newResource/ });
});
