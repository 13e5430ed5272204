import { rmSync } from 'node:fs';
import t from 'tap';
import type { Resource, ResourceBase } from '../../engine/resource.ts';
import { sh } from '../../engine/script.ts';
import { Secret } from '../../engine/secret.ts';
import { useLab } from '../support/lab.ts';
import { tryExample } from './contract.ts';
import { WORK } from './example.ts';
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

  await t.test('and the contract is not kept by a resource that', async (t) => {
    const path = `${WORK}/thing`;
    const token = new Secret('open-sesame-44');
    const good = {
      kind: 'bad',
      id: path,
      probe: sh`[ "$(cat ${path} 2>/dev/null)" = new ] && echo there=yes || echo there=no`,
      wanted: { there: 'yes' },
      change: () => sh`printf new > ${path}.next && mv ${path}.next ${path}`,
      noUndo: 'a test',
    } as const satisfies Resource;
    const cases: [string, Partial<ResourceBase>, RegExp][] = [
      ['writes in place', { change: () => sh`printf ne > ${path} && printf w >> ${path}` }, /half-done/],
      [
        'leaves things behind when it is cut',
        { change: () => sh`printf new > ${path}.$$ && mv ${path}.$$ ${path}` },
        /instead of/,
      ],
      ['leaks a secret to a command', { change: () => sh`env true ${token}; printf new > ${path}` }, /secret shows/],
      ['writes while it looks', { probe: sh`date >> ${path}.log; ${good.probe}` }, /the probe changed/],
      ['finds nothing to do', { probe: sh`echo there=yes` }, /nothing to do/],
      ['does not do it', { change: () => sh`:` }, /there is no, wanted yes/],
      [
        'cannot go on after a cut',
        { change: () => sh`mkdir ${path}.lock && printf new > ${path} && rmdir ${path}.lock` },
        /the next run failed/,
      ],
    ];
    for (const [name, flaw, pattern] of cases) {
      const findings = await tryExample(session, {
        name,
        resource: { ...good, ...flaw },
        prepare: sh`printf old > ${path}`,
        whole: sh`cat ${path}`,
        secrets: [token],
      });
      t.match(findings.flatMap(({ problems }) => problems).join('; '), pattern, name);
    }
  });
});
