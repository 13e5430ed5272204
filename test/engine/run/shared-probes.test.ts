/** A shared probe finds what each probe would find itself. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Resource } from '../../../engine/resource.ts';
import { directory } from '../../../engine/resources/directory.ts';
import { file } from '../../../engine/resources/file.ts';
import { isSharedProbe, type ProbeStep, withSharedProbes } from '../../../engine/run/tasks/shared-probes.ts';
import { sh } from '../../../engine/script.ts';
import { Secret } from '../../../engine/secret.ts';
import { openSession } from '../../support/open-session.ts';

const LOCAL = { name: 'here', transport: 'local', address: '', connectTimeout: 10, hostKeys: 'strict' } as const;

const probes = (resources: readonly Resource[]): readonly ProbeStep[] =>
  resources.map(({ probe, sharedProbe }, i) => ({
    id: `t${i}`,
    script: probe,
    timeout: 20,
    capture: true,
    sharedProbe,
  }));

t.test('odd paths, links, things that would hang, and owners without a name', async (t) => {
  const root = t.testdir();
  const names = [
    'plain',
    'wrong mode',
    'two  spaces',
    ' begins and ends with one ',
    '*',
    "it's $HOME",
    'back\\slash',
    'line\nbreak',
    'missing',
    'nobody',
    'fifo',
    'link to a file',
    'link to a directory',
    'directory',
    'directory of others',
    'dangling',
    'émigré',
    'hash  0123',
  ];
  const at = (name: string) => join(root, name);
  for (const name of names)
    if (!/directory|link|missing|fifo|dangling/.test(name)) writeFileSync(at(name), `content of ${name}`);
  chmodSync(at('wrong mode'), 0o600);
  chownSync(at('nobody'), 54321, 54322);
  execFileSync('mkfifo', [at('fifo')]);
  for (const name of ['directory', 'directory of others']) mkdirSync(at(name));
  chownSync(at('directory of others'), 54321, 0);
  symlinkSync(at('plain'), at('link to a file'));
  symlinkSync(at('directory'), at('link to a directory'));
  symlinkSync('nowhere', at('dangling'));
  const resources = names.flatMap((name) => [
    file({ path: at(name), content: `content of ${name}` }),
    file({ path: at(name), content: new Secret('another content'), owner: '0', group: '0' }),
    directory({ path: at(name) }),
  ]);

  const session = await openSession(LOCAL);
  t.teardown(() => session.close());
  const steps = probes(resources);
  const plain = await session.run(steps);
  const looked = await session.run(withSharedProbes(steps));
  t.equal(looked.filter(isSharedProbe).length, 1);
  t.equal(looked.find(isSharedProbe)?.stdout.length, 0, 'what was seen does not travel');
  const words = (results: typeof plain) =>
    results.filter((step) => !isSharedProbe(step)).map(({ stdout }) => stdout.toString());
  t.strictSame(words(looked), words(plain));
  t.match(words(plain)[0], /content=|sha256=[0-9a-f]{64}/);

  rmSync(at('plain'));
  mkdirSync(at('plain'));
  t.match((await session.run(withSharedProbes(probes(resources.slice(0, 6)))))[1]?.stdout.toString(), /type=directory/);
  writeFileSync(at('two  spaces'), 'changed');
  const [one] = await session.run(probes([resources[6] as Resource]));
  t.notSame(one?.stdout.toString(), words(plain)[6], 'a batch that has not looked does not remember');
});

t.test('a probe does not believe what was not asked with it, nor what was asked before a change', async (t) => {
  const root = t.testdir({ a: 'old', b: 'b', c: 'c' });
  const session = await openSession(LOCAL);
  t.teardown(() => session.close());
  const of = (name: string) => file({ path: join(root, name), content: name });
  await session.run(withSharedProbes(probes(['a', 'b', 'c'].map(of))));
  writeFileSync(join(root, 'a'), 'new');
  const [a, b, c] = probes(['a', 'b', 'c'].map(of));
  if (!a || !b || !c) throw new Error('no probes');
  const found = async (steps: readonly ProbeStep[]) => {
    const results = await session.run(withSharedProbes(steps));
    return results.find(({ id }) => id === 't0')?.stdout.toString();
  };
  const { sharedProbe: _, ...alone } = a;
  const fresh = await found([alone]);
  t.equal(await found([b, c, alone]), fresh, 'an older look at it is not believed');
  const change = { id: 'change', timeout: 20, mayChange: true, script: sh`printf newer > ${join(root, 'a')}` };
  const newer = await found([a, b, change, { ...alone, id: 't9' }]);
  t.equal(newer, fresh);
  const results = await session.run(
    withSharedProbes([a, b, { ...change, script: sh`printf newest > ${join(root, 'a')}` }, { ...alone, id: 't9' }]),
  );
  t.not(
    results.find(({ id }) => id === 't9')?.stdout.toString(),
    results.find(({ id }) => id === 't0')?.stdout.toString(),
  );
});

t.test('two programs are started for all paths, and two for each without shared probes', async (t) => {
  const root = t.testdir();
  const bin = join(root, 'bin');
  mkdirSync(bin);
  const log = join(root, 'log');
  for (const program of ['stat', 'sha256sum']) {
    writeFileSync(join(bin, program), `#!/bin/sh\necho ${program} >> ${log}\nexec /usr/bin/${program} "$@"\n`, {
      mode: 0o755,
    });
  }
  const resources = Array.from({ length: 10 }, (_, i) => file({ path: join(root, `file-${i}`), content: `${i}` }));
  for (const [i, { id }] of resources.entries()) writeFileSync(id, `${i}`);
  const path = process.env['PATH'];
  process.env['PATH'] = `${bin}:${path}`;
  const session = await openSession(LOCAL).finally(() => {
    process.env['PATH'] = path;
  });
  t.teardown(() => session.close());
  const started = () => {
    const lines = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
    rmSync(log, { force: true });
    return lines.length;
  };
  await session.run(withSharedProbes(probes(resources)));
  t.equal(started(), 2);
  await session.run(probes(resources));
  t.equal(started(), 20);
  const [only = file({ path: '/x', content: '' })] = resources;
  t.equal(withSharedProbes(probes([only])).length, 1, 'one alone has no shared probe');
});

t.test('a look that fails or is cut leaves every probe to itself', async (t) => {
  const root = t.testdir({ a: 'a', b: 'b' });
  const session = await openSession(LOCAL);
  t.teardown(() => session.close());
  const steps = probes(['a', 'b'].map((name) => file({ path: join(root, name), content: name })));
  const [look, ...rest] = withSharedProbes(steps);
  if (!look) throw new Error('no look');
  const plain = await session.run(steps);
  for (const broken of [sh`${look.script}; exit 3`, sh`${look.script}; kill -9 $(sh -c 'echo $PPID')`]) {
    const found = await session.run([{ ...look, script: broken }, ...rest]);
    t.not(found[0]?.exitCode, 0);
    t.strictSame(
      found.slice(1).map(({ stdout }) => stdout.toString()),
      plain.map(({ stdout }) => stdout.toString()),
    );
  }
});
