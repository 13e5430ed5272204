import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { play } from '../../engine/play.ts';
import { apt } from '../../engine/resources/apt.ts';
import { file } from '../../engine/resources/file.ts';
import { unit } from '../../engine/resources/systemd.ts';
import { task } from '../../engine/task.ts';
import { useLab } from '../support/lab.ts';
import { roleOf, statuses, trips, World } from '../support/world.ts';
import { kept } from './contract.ts';
import { freshRepository, packages } from './examples/apt.ts';
import { commands, modules, parameters, units, waits } from './examples/system.ts';
import { keepsContract, sessionOn } from './keeps-contract.ts';

t.test('what a system is made of keeps the contract of resources', async (t) => {
  const lab = await useLab(t, { hosts: [{ name: 'node-1', ufw: false }] });
  const session = await sessionOn(lab, 'node-1');
  t.teardown(() => session.close());
  await keepsContract(t, session, { commands, waits, units, parameters, modules, packages });

  await t.test('a row of packages is one transaction, a row of units one reload', async (t) => {
    const host = lab.host('node-1');
    await session.run([{ id: 'fresh', script: freshRepository, timeout: 120 }]);
    const names = ['one', 'two', 'three'].map((name) => `hw-row-${name}.service`);
    const content = '[Service]\nType=oneshot\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n';
    const role = roleOf(() => [
      ...['hw-one', 'hw-two', 'hw-wishful'].map((name) => task(`Install ${name}`, apt(name))),
      ...names.map((name) => task(`Write ${name}`, file({ path: `/etc/systemd/system/${name}`, content }))),
      ...names.map((name) => task(`Enable ${name}`, unit(name, { enabled: true }))),
    ]);
    const seen = async () => {
      const [transactions = 0, reloads = 0] = (
        await host.read(
          "grep -c ^Start-Date /var/log/apt/history.log; journalctl --sync; journalctl -o cat _PID=1 | grep -cE '^Reloading( requested.*)?[.]+$'",
        )
      )
        .trim()
        .split('\n')
        .map(Number);
      return { transactions, reloads };
    };
    const before = await seen();
    const world = new World(t.testdir(), ['node-1']);
    const plays = [play({ name: 'All', hosts: 'all', roles: [role()] })];
    const { events } = await world.run(plays, { open: async () => kept(session) });
    t.strictSame(
      statuses(events).map((line) => line.replace(/.*: /, '')),
      Array(9).fill('changed'),
    );
    t.strictSame(trips(events, 'node-1'), ['check 1', 'change 1']);
    await sleep(500);
    const after = await seen();
    t.strictSame(after, { transactions: before.transactions + 1, reloads: before.reloads + 1 });
    t.equal(await host.read(`systemctl is-enabled ${names.join(' ')} | sort -u`), 'enabled');
  });
});
