import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import t from 'tap';
import { repository } from '../../lab/names.ts';
import { hashOfSources } from '../../lab/sources.ts';

t.test(
  'a hash of sources changes with what a file holds and what it is called, and with no file that does not count',
  async (t) => {
    const folder = t.testdir({ 'a.go': 'one', 'a_test.go': 'test', below: { 'b.go': 'two' } });
    const path = relative(repository, folder);
    const hash = (paths = [path]) => hashOfSources(paths, (file) => !file.endsWith('_test.go'));
    const first = hash();
    t.equal(hash(), first);
    t.equal(hash([`${path}/below`, `${path}/a.go`]), first, 'in whichever order, folders or files, each once');
    t.equal(hash([path, `${path}/a.go`]), first);
    writeFileSync(join(folder, 'a_test.go'), 'another');
    t.equal(hash(), first);
    renameSync(join(folder, 'below/b.go'), join(folder, 'below/c.go'));
    t.not(hash(), first, 'another name');
    renameSync(join(folder, 'below/c.go'), join(folder, 'below/b.go'));
    writeFileSync(join(folder, 'below/b.go'), 'three');
    t.not(hash(), first, 'another content');
    rmSync(join(folder, 'below/b.go'));
    t.not(hash(), first, 'a file less');
  },
);
