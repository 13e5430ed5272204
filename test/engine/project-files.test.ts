import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { clearProjectFiles, KEPT_WHOLE, projectFile, projectText, sha256OfStart } from '../../engine/project-files.ts';
import { copy } from '../../engine/resources/copy.ts';
import { REPOSITORY } from '../support/program.ts';

t.beforeEach(() => clearProjectFiles());

t.test('a text is read once a run, and again in the next one', async (t) => {
  const file = join(t.testdir({ text: 'one' }), 'text');
  t.equal(projectText(file), 'one');
  writeFileSync(file, 'two');
  t.equal(projectText(file), 'one', 'every host gets the same');
  rmSync(file);
  t.equal(projectText(file), 'one');
  clearProjectFiles();
  t.throws(() => projectText(file), { code: 'ENOENT' });
});

t.test('a file to be copied is read once, and again when a task of the run has made another of it', async (t) => {
  const file = join(t.testdir({ thing: 'old' }), 'thing');
  const first = projectFile(file);
  t.equal(projectFile(file), first, 'the very same');
  t.equal(projectFile(join(file, '..', 'thing')), first, 'by whatever path');
  t.equal(first.content?.toString(), 'old');
  writeFileSync(file, 'new');
  utimesSync(file, 1, 1);
  t.equal(projectFile(file).content?.toString(), 'new');
});

t.test('the content of a large file is not kept, its size and hash are', async (t) => {
  const file = join(t.testdir(), 'large');
  writeFileSync(file, randomBytes(KEPT_WHOLE + 1));
  const { size, sha256, content } = projectFile(file);
  t.equal(size, KEPT_WHOLE + 1);
  t.equal(sha256, sha256OfStart(file, size));
  t.equal(content, undefined);
});

t.test('copies of one file for many hosts are the same, though the file is removed meanwhile', async (t) => {
  const from = join(t.testdir({ program: '#!/bin/sh\n' }), 'program');
  const [one, other] = [1, 2].map(() => copy({ path: '/usr/local/bin/program', from }));
  t.strictSame(one?.wanted, other?.wanted);
  rmSync(from);
  t.match(one?.change({}).reveal(), /#!\/bin\/sh/);
});

t.test('nothing else that computes tasks reads or writes files', async (t) => {
  const sources = ['roles', 'engine/resources', 'engine/template'].flatMap((folder) =>
    readdirSync(join(REPOSITORY, folder), { recursive: true, encoding: 'utf8' })
      // roles/load.ts finds roles for scripts.
      .filter((name) => name.endsWith('.ts') && name !== 'load.ts')
      .map((name) => `${folder}/${name}`),
  );
  t.ok(sources.length > 40, `${sources.length} files`);
  const io = /from '(?:node:)?(?:fs|child_process|net|http|https|dgram|worker_threads)(?:\/promises)?'/;
  const reading = [...sources, 'engine/template.ts'].filter((name) => {
    const text = readFileSync(join(REPOSITORY, name), 'utf8');
    // isIP and its like are pure functions.
    return io.test(text.replace(/^import \{ (?:isIP(?:v[46])?(?:, )?)+ \} from 'node:net';$/m, ''));
  });
  t.strictSame(reading, []);
});
