import { chmodSync, chownSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { hwKeepOwner } from '../../../engine/resources/atomic-path.ts';
import { sh } from '../../../engine/script.ts';
import { run, SHELLS } from './local-shell.ts';

const isRoot = process.getuid?.() === 0;

for (const shell of SHELLS) {
  t.test(`a file that is rewritten keeps its mode and owner, under ${shell.join(' ')}`, async (t) => {
    const folder = t.testdir();
    const [path, next, link] = ['its place', '.next', 'link'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const [uid, gid] = isRoot ? [1, 12] : [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
    const keep = (from: string) => run(sh`${hwKeepOwner} ${from} ${next} 0600 ${`${uid}:${gid}`}`, shell);
    const is = () => {
      const { mode, uid, gid } = statSync(next);
      return [(mode & 0o7777).toString(8), uid, gid];
    };
    writeFileSync(next, '');
    t.match(await keep(path), { exitCode: 0, stderr: '' });
    t.strictSame(is(), ['600', uid, gid], 'where there is none yet, it has the default');
    writeFileSync(path, '');
    chmodSync(path, 0o2751);
    if (isRoot) chownSync(path, 2, 3);
    const kept = isRoot ? [2, 3] : [uid, gid];
    chmodSync(path, 0o4751);
    t.match(await keep(path), { exitCode: 0, stderr: '' });
    t.strictSame(is(), ['4751', ...kept]);
    symlinkSync(path, link);
    chmodSync(path, 0o640);
    await keep(link);
    t.strictSame(is(), ['640', ...kept], 'of what a link leads to');
    if (!isRoot) return;
    chownSync(path, 0, 0);
    await keep(path);
    t.strictSame(is(), ['640', 0, 0], "root's too");
  });
}
