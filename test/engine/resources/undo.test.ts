/** Undo, and what it is not made for, on this machine. On real hosts: test/contract. */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Resource } from '../../../engine/resource.ts';
import { directory } from '../../../engine/resources/directory.ts';
import { link } from '../../../engine/resources/link.ts';
import { unit } from '../../../engine/resources/systemd.ts';
import { ufwDefault, ufwEnabled } from '../../../engine/resources/ufw.ts';
import { sh } from '../../../engine/script.ts';
import { tables } from '../../support/host-shell.ts';
import { apply, probe, run, SHELLS } from './local-shell.ts';

const me = { owner: String(process.getuid?.() ?? 0), group: String(process.getgid?.() ?? 0) };

for (const shell of SHELLS) {
  t.test(`a directory and a link are what they were, under ${shell.join(' ')}`, async (t) => {
    const dir = t.testdir();
    const undone = async (resource: Resource) => {
      const found = await probe(resource, shell);
      t.strictSame((await apply(resource, shell)).after, []);
      for (const time of ['undone', 'twice'])
        t.match(await run(resource.undo?.(found) ?? sh`false`, shell), { exitCode: 0, stderr: '' }, time);
      t.strictSame(await probe(resource, shell), found);
    };
    await undone(directory({ path: join(dir, "a b/it's/c"), ...me }));
    t.notOk(existsSync(join(dir, 'a b')), 'parents that the change made go too');
    mkdirSync(join(dir, 'old'));
    chmodSync(join(dir, 'old'), 0o710);
    await undone(directory({ path: join(dir, 'old/new'), ...me }));
    await undone(directory({ path: join(dir, 'old'), mode: '0755', ...me }));
    t.equal(statSync(join(dir, 'old')).mode & 0o7777, 0o710);

    await undone(link({ path: join(dir, 'l'), target: '/etc' }));
    t.throws(() => lstatSync(join(dir, 'l')));
    symlinkSync('a "b" \\n', join(dir, 'l'));
    await undone(link({ path: join(dir, 'l'), target: '/etc' }));
    t.equal(readlinkSync(join(dir, 'l')), 'a "b" \\n');
  });

  t.test(`undo does not remove what came to be in a new directory, under ${shell.join(' ')}`, async (t) => {
    const path = join(t.testdir(), 'new');
    const resource = directory({ path, ...me });
    const found = await probe(resource, shell);
    await apply(resource, shell);
    writeFileSync(join(path, 'precious'), '');
    const { exitCode, stderr } = await run(resource.undo?.(found) ?? sh`true`, shell);
    t.not(exitCode, 0);
    t.match(stderr, /not empty/i);
    t.ok(existsSync(join(path, 'precious')));
  });
}

t.test('units and the firewall go back to what was found', async (t) => {
  const undo = (resource: Resource, found: Readonly<Record<string, string>>) => resource.undo?.(found).reveal().trim();
  const on = unit('x.service', { enabled: true, active: true });
  t.equal(
    undo(on, { enabled: 'no', 'unit-file': 'disabled', active: 'no' }),
    'hw_systemctl stop  -- x.service || exit\nhw_systemctl -q disable -- x.service',
  );
  t.equal(undo(on, { enabled: 'yes', 'unit-file': 'enabled', active: 'yes' }), ':', 'only its file was read again');
  t.match(undo(on, { enabled: 'no', 'unit-file': 'enabled-runtime', active: 'no' }), /was enabled-runtime.*exit 1$/);
  t.match(
    undo(ufwDefault('incoming', 'allow'), { policy: 'deny' }),
    /^hw_arm .*default allow incoming[\s\S]*default deny/,
  );
  t.match(undo(ufwDefault('incoming', 'allow'), { policy: 'unknown' }), /is not known.*exit 1$/);
  t.match(undo(ufwEnabled({ keepPort: 22 }), { enabled: 'no' }), /ufw --force disable/);
});

t.test(
  'every resource says one of three: how it is undone, what would have to be kept, or why it is not',
  async (t) => {
    const kinds = new Map<string, Set<string>>();
    for (const { resource } of tables.flat()) {
      const said = ['undo', 'keeps', 'noUndo'].filter((name) => Reflect.get(resource, name) !== undefined);
      t.equal(said.length, 1, `${resource.kind} ${resource.id}`);
      kinds.set(resource.kind, new Set([...(kinds.get(resource.kind) ?? []), ...said]));
    }
    // A new kind may say any of the three; of these it is known which.
    const known = {
      absent: 'keeps,noUndo',
      apt: 'noUndo',
      command: 'noUndo',
      copy: 'keeps',
      directory: 'undo',
      download: 'keeps',
      file: 'keeps',
      'kernel-module': 'noUndo',
      kubernetes: 'noUndo',
      link: 'undo',
      sysctl: 'keeps',
      systemd: 'noUndo,undo',
      ufw: 'keeps,undo',
      wait: 'noUndo',
    };
    for (const [kind, said] of Object.entries(known)) t.equal([...(kinds.get(kind) ?? [])].sort().join(), said, kind);
  },
);
