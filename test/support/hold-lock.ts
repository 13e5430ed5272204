/** A program for tests to kill: `hold-lock.ts CONNECTION SECONDS` takes a host's lock and sleeps there. */

import type { Connection } from '../../engine/remote/session.ts';
import { sh } from '../../engine/script.ts';
import { openSession } from './open-session.ts';

const [connection = '', seconds = ''] = process.argv.slice(2);
const session = await openSession(JSON.parse(connection) as Connection);
session.lock({ runId: 'left', holder: 'ada@laptop', controller: '-' });
await session.run([{ id: 'sleep', script: sh`sleep ${seconds}`, timeout: Number(seconds) }], {
  started: () => console.log('holds the lock'),
});
