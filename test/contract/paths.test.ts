import { rmSync } from 'node:fs';
import t from 'tap';
import { useLab } from '../support/lab.ts';
import { badMirror, downloads } from './examples/downloads.ts';
import { absences, copies, directories, files, links, localFiles } from './examples/paths.ts';
import { keepsContract, sessionOn } from './keeps-contract.ts';

t.test('what is at a path keeps the contract of resources', async (t) => {
  const lab = await useLab(t, { hosts: [{ name: 'node-1', ufw: false }] });
  const mirror = await badMirror(lab.gateway);
  t.teardown(() => mirror.close());
  t.teardown(() => rmSync(localFiles, { recursive: true }));
  const session = await sessionOn(lab, 'node-1');
  t.teardown(() => session.close());
  await keepsContract(t, session, { files, copies, directories, links, absences, downloads: downloads(mirror.url) });
});
