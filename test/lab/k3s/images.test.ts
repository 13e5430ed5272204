import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { cacheDirectory } from '../../../lab/names.ts';

/** An entry of a docker archive's manifest.json. */
interface Entry {
  readonly Config: string;
  readonly RepoTags: readonly string[];
  readonly Layers: readonly string[];
}

/** The parts of an image's config that are looked at. */
interface Config {
  readonly architecture: string;
  readonly config: { readonly Entrypoint?: readonly string[]; readonly Cmd?: readonly string[] };
  readonly rootfs: { readonly diff_ids: readonly string[] };
}

const k3s = fileURLToPath(new URL('../../../lab/k3s/', import.meta.url));
const output = join(cacheDirectory(), 'k3s', 'images');
const archive = join(output, 'k3s-airgap-images-amd64.tar.zst');
const build = (): string => execFileSync(join(k3s, 'images/build.sh'), ['amd64', output], { encoding: 'utf8' });

t.test(
  'the archive has every image under its name, for its architecture, with its program where manifests expect it',
  async (t) => {
    build();
    const folder = mkdtempSync(join(tmpdir(), 'images-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    execFileSync('sh', ['-c', 'zstd -dcq "$1" | tar -x -C "$2"', 'sh', archive, folder]);
    const json = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8'));

    const seen = (json('manifest.json') as Entry[]).map((entry) => {
      const config = json(entry.Config) as Config;
      const [layer = ''] = entry.Layers;
      const digest = createHash('sha256')
        .update(readFileSync(join(folder, layer)))
        .digest('hex');
      t.strictSame(
        config.rootfs.diff_ids,
        [`sha256:${digest}`],
        `${entry.RepoTags[0]}: the layer is the one the config names`,
      );
      const files = execFileSync('tar', ['-tf', join(folder, layer)], { encoding: 'utf8' }).split('\n');
      const program = (config.config.Entrypoint ?? ['/bin/busybox'])[0] ?? '';
      t.ok(files.includes(program.slice(1)), `${entry.RepoTags[0]}: ${program} is in it`);
      return {
        names: entry.RepoTags,
        architecture: config.architecture,
        runs: config.config.Entrypoint ?? config.config.Cmd,
        files,
      };
    });

    t.strictSame(
      seen.map(({ names, architecture, runs }) => [names, architecture, runs]),
      [
        [['docker.io/rancher/mirrored-pause:3.6'], 'amd64', ['/pause']],
        [['docker.io/rancher/mirrored-library-busybox:1.37.0', 'docker.io/library/busybox:1.37'], 'amd64', ['sh']],
        [['docker.io/rancher/mirrored-coredns-coredns:1.12.3'], 'amd64', ['/coredns']],
        [['ghcr.io/kube-vip/kube-vip:v1.2.3'], 'amd64', ['/kube-vip']],
      ],
    );
    const busybox = seen[1]?.files ?? [];
    for (const applet of ['sh', 'ping', 'nslookup', 'wget', 'nc', 'httpd', 'sleep']) {
      t.ok(busybox.includes(`bin/${applet}`), `busybox answers to ${applet}`);
    }
  },
);

t.test('CoreDNS has the plugins that a cluster configures, and the kube-vip stand-in says what it is', async (t) => {
  build();
  const folder = mkdtempSync(join(tmpdir(), 'images-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  execFileSync('sh', ['-c', 'zstd -dcq "$1" | tar -x -C "$2"', 'sh', archive, folder]);
  for (const entry of JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Entry[]) {
    execFileSync('tar', ['-xf', join(folder, entry.Layers[0] ?? ''), '-C', folder]);
  }
  const run = (program: string, ...words: string[]): string =>
    execFileSync(join(folder, program), words, { encoding: 'utf8' });
  const plugins = run('coredns', '-plugins')
    .split('\n')
    .map((line) => line.trim());
  for (const plugin of [
    'kubernetes',
    'forward',
    'cache',
    'errors',
    'health',
    'ready',
    'hosts',
    'loop',
    'reload',
    'loadbalance',
    'prometheus',
    'rewrite',
  ]) {
    t.ok(plugins.includes(plugin), plugin);
  }
  t.match(run('kube-vip', '--version'), /^kube-vip stand-in .*not kube-vip/);
});

t.test('unchanged sources build nothing', async (t) => {
  build();
  const before = statSync(archive).mtimeMs;
  t.match(build(), /unchanged/);
  t.equal(statSync(archive).mtimeMs, before);
});

t.test('an architecture that is not built is refused with the usage', async (t) => {
  t.throws(
    () => execFileSync(join(k3s, 'images/build.sh'), ['riscv64', output], { stdio: 'pipe' }),
    /usage: build\.sh amd64\|arm64 OUTDIR/,
  );
});
