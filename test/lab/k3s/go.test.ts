/** The Go tests of what the lab puts in place of k3s and kube-vip, and of how its images are packed. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { goEnvironment } from '../../../lab/go.ts';

// As lab/k3s/build.sh compiles them, so that nothing is compiled twice.
const env = {
  ...(await goEnvironment(console.log)),
  GOWORK: 'off',
  CGO_ENABLED: '0',
  GOFLAGS: '-trimpath -buildvcs=false',
};

for (const folder of ['k3s', 'k3s/images', 'k3s/kube-vip']) {
  t.test(`lab/${folder}`, async (t) => {
    const cwd = fileURLToPath(new URL(`../../../lab/${folder}`, import.meta.url));
    const { status, stdout, stderr } = spawnSync('go', ['test', './...'], {
      cwd,
      env,
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
    });
    t.equal(status, 0, stdout + stderr);
    t.match(stdout, /^ok\s/m);
  });
}
