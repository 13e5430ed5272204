/** A session whose link is lost, where several uses find that out. */
import pLimit from 'p-limit';
import t from 'tap';
import { EventStream } from '../../../engine/event-stream.ts';
import { connectionOf } from '../../../engine/inventory/connection.ts';
import type { InventoryHost } from '../../../engine/inventory/inventory.ts';
import { loadInventory } from '../../../engine/inventory/load.ts';
import { LinkError, type Session } from '../../../engine/remote/session.ts';
import { SessionPool } from '../../../engine/run/sessions/session-pool.ts';
import { NO_TRAFFIC } from '../../../engine/traffic.ts';

t.test('who finds out late that a link is lost does not close the session that came after', async (t) => {
  const { hosts } = await loadInventory({ sources: ['node-1,'] });
  const [host] = hosts as [InventoryHost];
  const closed: number[] = [];
  let opened = 0;
  const open = async (): Promise<Session> => {
    const number = ++opened;
    const opening = { connect: NO_TRAFFIC, authenticate: NO_TRAFFIC, become: NO_TRAFFIC };
    const close = async () => void closed.push(number);
    return { name: 'node-1', wire: NO_TRAFFIC, opening, close } as unknown as Session;
  };
  const pool = new SessionPool({
    open,
    connect: (each) => connectionOf(each, { become: false }),
    limit: pLimit(10),
    events: new EventStream(),
    lock: undefined,
    changeable: new Set(['node-1']),
  });
  const lost = async () => {
    throw new LinkError('lost', { what: 'lost the connection' });
  };
  let findOut = (): void => {};
  const late = pool.use(host, false, () => new Promise<void>((resolve) => (findOut = resolve)).then(lost));
  t.match(await pool.use(host, false, lost), { problem: { what: 'lost the connection' } });
  t.same(await pool.use(host, false, async () => 'fine'), { value: 'fine' });
  findOut();
  await late;
  t.notOk(closed.includes(2), 'the new session is open');
  t.same(await pool.use(host, false, async () => 'still'), { value: 'still' });
  t.equal(opened, 2);
  await pool.close();
});
