import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { ufwEnabled } from '../../engine/resources/ufw.ts';
import { sh } from '../../engine/script.ts';
import { withFunctions } from '../engine/resources/local-shell.ts';
import { useLab } from '../support/lab.ts';
import { firewall, rules } from './examples/ufw.ts';
import { keepsContract, sessionOn } from './keeps-contract.ts';

t.test('the firewall', async (t) => {
  const lab = await useLab(t, { hosts: [{ name: 'node-1' }] });
  const session = await sessionOn(lab, 'node-1');
  t.teardown(() => session.close());
  const status = async () => (await lab.host('node-1').read('ufw status | head -n 1')).trim();

  await keepsContract(t, session, { rules, firewall });

  await t.test('is taken back by the host itself when no new connection confirms it', async (t) => {
    const host = lab.host('node-1');
    // A way in that is not ours: to the rules it looks open, to us it is closed.
    await host.read('ufw --force disable; ufw --force reset; ufw allow from 192.0.2.1 to any port 22 proto tcp');
    const enabled = ufwEnabled({ keepPort: 22, confirmWithin: 4 });
    const [result] = await session.run([{ id: 'enable', script: enabled.change({}), timeout: 60 }]);
    t.equal(result?.exitCode, 0, 'the connection at hand is not cut');
    const [mine] = await session.run([{ id: 'probe', script: enabled.probe, timeout: 30 }]);
    t.match(
      mine?.stdout.toString(),
      /enabled=yes[\s\S]*unconfirmed=no/,
      'the run that armed the revert finds what it wanted',
    );
    const other = await host.read(withFunctions(enabled.probe));
    t.match(other, /unconfirmed=yes/, 'any other finds that it is not confirmed');
    t.notOk(await host.answers(), 'no new connection comes through');
    for (let i = 0; i < 100 && (await status()) !== 'Status: inactive'; i++) await sleep(200);
    t.ok(await host.answers(), 'some seconds later it does again');
    const [late] = await session.run([{ id: 'confirm', script: enabled.confirm?.script ?? sh``, timeout: 10 }]);
    t.not(late?.exitCode, 0, 'and a confirmation that comes too late is told so');
  });
});
