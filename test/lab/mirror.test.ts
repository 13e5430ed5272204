import { mkdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { createMirror, type MirrorConfig, readMirrorConfig, writeMirrorConfig } from '../../lab/mirror.ts';
import { startRelay } from '../../lab/relay.ts';

const binary = Buffer.alloc(300_001, 'k3s ');
const files = t.testdir({ files: {} });
mkdirSync(join(files, 'v1.36.2+k3s1'));
writeFileSync(join(files, 'v1.36.2+k3s1/k3s'), binary);
writeFileSync(join(files, 'empty'), '');
const configFile = join(files, 'mirror.json');
const good: MirrorConfig = { files, channels: { stable: 'v1.36.2+k3s1' }, failures: [] };
writeMirrorConfig(configFile, good);
const server = createMirror(() => readMirrorConfig(configFile));
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
t.teardown(() => server.close());
t.teardown(() => server.closeAllConnections());
const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

t.test('a version is found with its plus sign as it is or encoded', async (t) => {
  for (const version of ['v1.36.2+k3s1', 'v1.36.2%2Bk3s1']) {
    const answer = await fetch(`${base}/${version}/k3s`);
    t.equal(answer.status, 200);
    t.equal(answer.headers.get('content-length'), String(binary.length));
    t.ok(binary.equals(Buffer.from(await answer.arrayBuffer())));
  }
  t.equal((await fetch(`${base}/empty`)).status, 200);
  t.equal((await fetch(`${base}/v1.36.2+k3s1/nothing`)).status, 404);
  t.equal((await fetch(`${base}/v1.36.2+k3s1`)).status, 404, 'a directory is no file');
  t.equal((await fetch(`${base}/..%2f..%2f..%2fetc%2fpasswd`)).status, 404, 'nothing outside is served');
  t.equal((await fetch(`${base}/empty`, { method: 'POST' })).status, 405);
});

t.test('a broken off download is taken up again', async (t) => {
  const answer = await fetch(`${base}/v1.36.2+k3s1/k3s`, { headers: { range: 'bytes=300000-' } });
  t.equal(answer.status, 206);
  t.equal(await answer.text(), 'k');
  t.equal((await fetch(`${base}/v1.36.2+k3s1/k3s`, { headers: { range: 'bytes=300001-' } })).status, 416);
});

t.test(
  "a channel leads to its version, which is the last part of the address, as k3s's channel server has it",
  async (t) => {
    const answer = await fetch(`${base}/v1-release/channels/stable`, { redirect: 'manual' });
    t.equal(answer.status, 302);
    t.match(answer.headers.get('location'), /\/tag\/v1\.36\.2%2Bk3s1$/);
    t.equal((await fetch(`${base}/v1-release/channels/stable`)).status, 200);
    t.equal((await fetch(`${base}/v1-release/channels/none`, { redirect: 'manual' })).status, 404);
  },
);

t.test('a broken mirror fails in the way asked for, at once and only there, until it is mended', async (t) => {
  const url = `${base}/v1.36.2+k3s1/k3s`;
  const fail = (failure: MirrorConfig['failures'][number]['failure']) =>
    writeMirrorConfig(configFile, { ...good, failures: [{ path: '/k3s', failure }] });
  fail('unavailable');
  t.equal((await fetch(url)).status, 503);
  t.equal((await fetch(`${base}/empty`)).status, 200, 'other files are well');
  fail('reset');
  await t.rejects(fetch(url));
  fail('truncated');
  const truncated = await fetch(url);
  t.equal(truncated.headers.get('content-length'), String(binary.length), 'it promises everything');
  await t.rejects(truncated.arrayBuffer(), 'and ends half-way');
  fail('corrupt');
  const corrupt = Buffer.from(await (await fetch(url)).arrayBuffer());
  t.equal(corrupt.length, binary.length);
  t.equal(corrupt.filter((byte, index) => byte !== binary[index]).length, 1, 'one byte is another');
  fail('stalled');
  const stop = new AbortController();
  const stalled = await fetch(url, { signal: stop.signal });
  let received = 0;
  await t.rejects(async () => {
    for await (const chunk of stalled.body ?? []) {
      received += Buffer.from(chunk).length;
      if (received === Math.floor(binary.length / 2)) stop.abort();
    }
  });
  t.equal(received, Math.floor(binary.length / 2));
  writeMirrorConfig(configFile, good);
  t.ok(binary.equals(Buffer.from(await (await fetch(url)).arrayBuffer())));
});

t.test('the relay passes everything on in order, ends included, later by its delay each way', async (t) => {
  const echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  const relay = await startRelay({ host: '127.0.0.1', port: (echo.address() as AddressInfo).port }, 30);
  const started = performance.now();
  const socket = connect(relay.port, relay.address);
  socket.end(binary);
  const back: Buffer[] = [];
  for await (const chunk of socket) back.push(chunk);
  t.ok(binary.equals(Buffer.concat(back)));
  t.ok(performance.now() - started >= 120, 'making the connection and a round trip took twice the delay each at least');
  t.equal(relay.connections, 1);
  const { bytesOut, bytesIn, roundTrips } = relay.traffic;
  t.same([bytesOut, bytesIn], [binary.length, binary.length], 'it says how much passed');
  t.ok(roundTrips >= 2, 'and how often there was an answer to wait for');
  await relay.close();
  await new Promise((resolve) => echo.close(resolve));
});
