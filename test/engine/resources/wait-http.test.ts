import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import t from 'tap';
import { waitForHttp } from '../../../engine/resources/wait.ts';
import { probe } from './local-shell.ts';

/** A PATH with these programs of this machine only. */
function pathOf(folder: string, programs: readonly string[]): string {
  mkdirSync(folder, { recursive: true });
  for (const name of programs) {
    const found = ['/bin', '/usr/bin'].map((bin) => join(bin, name)).find(existsSync);
    if (found && !existsSync(join(folder, name))) symlinkSync(found, join(folder, name));
  }
  return folder;
}

t.test("a server's certificate is checked against a CA file, whatever its path is", async (t) => {
  const folder = t.testdir();
  const places = join(folder, "the CA's place -k");
  mkdirSync(places);
  const ca = join(places, 'ca $1.crt');
  const key = join(folder, 'key');
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync('openssl', [...made, ...subject, '-keyout', key, '-out', ca], { stdio: 'ignore' });
  const server = createServer({ key: readFileSync(key), cert: readFileSync(ca) }, (_, response) => response.end('ok'));
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.teardown(() => server.close());
  const address = server.address();
  const url = `https://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/`;
  for (const tool of ['curl', 'wget']) {
    const PATH = pathOf(join(folder, tool), [tool, 'sed', 'tail']);
    if (!existsSync(join(PATH, tool))) continue;
    const seen = (ca?: { readonly file: string } | 'insecure') =>
      probe(waitForHttp({ url, deadline: 1, ...(ca ? { ca } : {}) }), ['/bin/sh'], { PATH });
    t.match(await seen({ file: ca }), { holds: 'yes', seen: '200' }, `${tool}, with the CA`);
    t.match(await seen('insecure'), { holds: 'yes', seen: '200' }, `${tool}, unchecked`);
    t.match(await seen(), { holds: 'no' }, `${tool}, without it`);
  }
  t.throws(() => waitForHttp({ url, deadline: 1, ca: { file: 'ca.crt' } }), {
    message: /^waitForHttp: ca is a mapping/,
  });
});
