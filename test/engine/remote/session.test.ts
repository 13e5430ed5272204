/** The session suite, over every transport and shell that can be had here; then what only ssh can do wrong. */
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Connection } from '../../../engine/remote/session.ts';
import { openSession } from '../../support/open-session.ts';
import { lockSuite, sessionSuite } from '../../support/session-suite.ts';
import { Sshd } from '../../support/sshd.ts';
import { uploadSuite } from '../../support/upload-suite.ts';

const here: Connection = {
  name: 'here',
  transport: 'local',
  address: 'localhost',
  user: userInfo().username,
  connectTimeout: 10,
  hostKeys: 'strict',
};

/** Shells that may be a host's `sh`, and which of them are here. */
const shells: Readonly<Record<string, string>> = {
  dash: '/bin/dash',
  busybox: '/bin/busybox',
  bash: '/bin/bash',
};

for (const [name, path] of Object.entries(shells)) {
  t.test(`local, where sh is ${name}`, { skip: existsSync(path) ? false : `${path} is not installed` }, (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'heartwood-sh-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    symlinkSync(path, join(folder, 'sh'));
    const open = async () => {
      const before = process.env['PATH'];
      process.env['PATH'] = `${folder}:${before}`;
      try {
        return await openSession(here);
      } finally {
        process.env['PATH'] = before;
      }
    };
    sessionSuite(t, open);
    uploadSuite(t, open);
    if (name === 'busybox') lockSuite(t, open, here);
    t.end();
  });
}

t.test('ssh', async (t) => {
  const sshd = await Sshd.start();
  t.teardown(() => sshd.stop());
  const open = () => openSession(sshd.connection());
  sessionSuite(t, open);
  uploadSuite(t, open);
  lockSuite(t, open, sshd.connection());
});
