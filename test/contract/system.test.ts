import t from 'tap';
import { useLab } from '../support/lab.ts';
import { packages } from './examples/apt.ts';
import { commands, modules, parameters, units, waits } from './examples/system.ts';
import { keepsContract, sessionOn } from './keeps-contract.ts';

t.test('what a system is made of keeps the contract of resources', async (t) => {
  const lab = await useLab(t, { hosts: [{ name: 'node-1', ufw: false }] });
  const session = await sessionOn(lab, 'node-1');
  t.teardown(() => session.close());
  await keepsContract(t, session, { commands, waits, units, parameters, modules, packages });
});
