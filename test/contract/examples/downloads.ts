/** Downloads, from mirrors that behave and mirrors that do not. */
import { createHash } from 'node:crypto';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { download } from '../../../engine/resources/download.ts';
import { sh } from '../../../engine/script.ts';
import { contentOf, type Example, WORK } from '../example.ts';

const content = Buffer.alloc(300_000, 'something worth having ');
const sha256 = createHash('sha256').update(content).digest('hex');

/** Serves one file, well and badly, on a port of its own at `address`. */
export async function badMirror(address: string): Promise<{ url: string; close: () => void }> {
  const server: Server = createServer((request, response) => {
    const [, start = '0'] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? [];
    const from = request.url === '/no-range' ? 0 : Number(start);
    switch (request.url) {
      case '/good':
      case '/no-range':
        return serve(response, content, from);
      // The first half, unless it is asked for the rest.
      case '/flaky':
        return from > 0 ? serve(response, content, from) : serve(response, content, 0, content.length / 2);
      case '/always-cut':
        return serve(response, content, from, Math.floor((content.length - from) / 2));
      case '/other':
        return serve(response, Buffer.from('something else'), 0);
      case '/moved':
        return response.writeHead(302, { location: '/good' }).end();
      case '/busy':
        return response.writeHead(503).end('later');
      default:
        return response.writeHead(404).end('no');
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, address, resolve);
  });
  const bound = server.address();
  const port = typeof bound === 'object' && bound ? bound.port : 0;
  return {
    url: `http://${address}:${port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Announces all of `body` from byte `from` on, sends so many bytes of it, and hangs up where that is not all. */
function serve(response: ServerResponse, body: Buffer, from: number, bytes = body.length - from): void {
  if (from >= body.length) {
    response.writeHead(416, { 'content-range': `bytes */${body.length}` }).end();
    return;
  }
  const length = body.length - from;
  const range = from > 0 ? { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` } : {};
  response.writeHead(from > 0 ? 206 : 200, { 'content-length': length, ...range });
  response.write(body.subarray(from, from + bytes), () => {
    if (bytes < length) response.destroy();
    else response.end();
  });
}

/** The examples, given the mirror's URL. */
export function downloads(mirror: string): readonly Example[] {
  const path = `${WORK}/fetched`;
  const whole = contentOf(path);
  const get = (...urls: string[]) =>
    download({ path, url: urls.map((url) => (url.startsWith('/') ? mirror + url : url)), sha256, mode: '0755' });
  const old = sh`echo old > ${path}`;
  const nobody = 'http://127.0.0.1:9/file';
  return [
    { name: 'a new one', resource: get('/good'), whole },
    { name: 'another one in its place', resource: get('/good'), prepare: old, whole },
    { name: 'by way of a redirect', resource: get('/moved'), whole },
    { name: 'from the third mirror', resource: get(nobody, '/busy', '/good'), prepare: old, whole },
    { name: 'not from a mirror with another file', resource: get('/other', '/good'), whole },
    { name: 'from a server that hangs up half-way, and goes on', resource: get('/flaky'), prepare: old, whole },
    { name: 'begun at one mirror, ended at another', resource: get('/always-cut', '/good'), whole },
    {
      name: 'gone on with after a cut run',
      resource: get('/good'),
      prepare: sh`printf 'something worth' > ${WORK}/.fetched.hw-new`,
      whole,
    },
    {
      name: 'begun anew where the remains are of another file',
      resource: get('/good'),
      prepare: sh`printf 'nothing like it' > ${WORK}/.fetched.hw-new`,
      whole,
    },
    {
      name: 'begun anew where the remains are longer',
      resource: get('/good'),
      prepare: sh`head -c 400000 /dev/zero > ${WORK}/.fetched.hw-new`,
      whole,
    },
    {
      name: 'from a server that cannot go on',
      resource: get('/no-range'),
      prepare: sh`printf 'something worth' > ${WORK}/.fetched.hw-new`,
      whole,
    },
    {
      name: 'where only the mode differs',
      resource: get(nobody),
      prepare: sh`curl -fsS -o ${path} ${`${mirror}/good`} || wget -q -O ${path} ${`${mirror}/good`}`,
    },
    {
      name: 'a wrong checksum',
      resource: get('/other'),
      prepare: old,
      whole,
      fails: /other: wrong checksum [0-9a-f]{64}.*another file/,
    },
    {
      name: 'a server that is busy',
      resource: get('/busy'),
      prepare: old,
      whole,
      fails: /busy: the server answers 503/,
    },
    {
      name: 'a file that is not there',
      resource: get('/nothing'),
      prepare: old,
      whole,
      fails: /nothing: the server answers 404/,
    },
    {
      name: 'a server that is not there',
      resource: get(nobody),
      prepare: old,
      whole,
      fails: /127.0.0.1:9.file: nothing listens there/,
    },
    {
      name: 'all mirrors bad, each in its way',
      resource: get('/busy', '/other', nobody),
      prepare: old,
      whole,
      fails: /503.*wrong checksum.*nothing listens/,
    },
    { name: 'a directory in its place', resource: get('/good'), prepare: sh`mkdir ${path}`, fails: /is a directory/ },
    {
      name: 'no directory to be in',
      resource: download({ path: `${WORK}/no/x`, url: `${mirror}/good`, sha256 }),
      fails: /directory .* is not there/,
    },
  ];
}
