/**
 * The lab's own apt repository: a few real Debian packages with all they depend on, so that hosts install packages
 * through apt, without a way to the internet. Fetched once for each architecture and kept in the cache.
 */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { UserError } from '../engine/errors.ts';
import { $, type Say } from './local.ts';
import { withLock } from './lock.ts';
import { cacheDirectory } from './names.ts';
import type { Architecture } from './shape.ts';

/**
 * What hosts can install: what roles ask for, some small packages for tests (cron has a unit), and what Ansible's apt needs
 * (bench/).
 */
const packages = ['ufw', 'curl', 'conntrack', 'socat', 'hello', 'tree', 'cron', 'python3-apt'];

/** Raise it when {@link make} writes something else. */
const format = 2;

/**
 * The directory of the repository for `arch`: packages and an index of them.
 *
 * @param root A root of that architecture, whose apt sources and keys are used.
 */
export async function aptRepository(arch: Architecture, root: string, say: Say): Promise<string> {
  const hash = createHash('sha256')
    .update(JSON.stringify([format, packages]))
    .digest('hex')
    .slice(0, 12);
  const directory = join(cacheDirectory(), 'apt', `${arch}-${hash}`);
  if (existsSync(directory)) return directory;
  return withLock(`apt-${arch}`, async () => {
    if (!existsSync(directory)) await make(arch, root, directory, say);
    return directory;
  });
}

async function make(arch: Architecture, root: string, directory: string, say: Say): Promise<void> {
  say(`fetching ${arch} packages for the lab's apt repository (once)`);
  const work = `${directory}.unfinished`;
  rmSync(work, { recursive: true, force: true });
  for (const name of ['state/lists/partial', 'cache/archives/partial', 'repository']) {
    mkdirSync(join(work, name), { recursive: true });
  }
  // As if nothing were installed, so that all that the packages depend on comes along. This machine's apt does it, with
  // the root's sources, so nothing is emulated.
  writeFileSync(join(work, 'status'), '');
  const settings = {
    'APT::Architecture': arch,
    'APT::Architectures': arch,
    'APT::Install-Recommends': 'false',
    'APT::Sandbox::User': 'root',
    'Dir::Etc::sourcelist': join(root, 'etc/apt/sources.list'),
    'Dir::Etc::sourceparts': join(root, 'etc/apt/sources.list.d'),
    'Dir::Etc::trustedparts': join(root, 'etc/apt/trusted.gpg.d'),
    'Dir::State': join(work, 'state'),
    'Dir::State::status': join(work, 'status'),
    'Dir::Cache': join(work, 'cache'),
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  for (const words of [['update'], ['install', '--yes', '--download-only', ...packages]]) {
    const run = await $({ nothrow: true })`apt-get -q ${options} ${words}`;
    if (run.exitCode !== 0) {
      const last = run.stderr.trim().split('\n').slice(-5).join('\n    ');
      throw new UserError({ what: `the lab's packages can't be fetched:\n    ${last}` });
    }
  }
  const archives = join(work, 'cache/archives');
  const stanzas: string[] = [];
  for (const name of readdirSync(archives)
    .filter((entry) => entry.endsWith('.deb'))
    .sort()) {
    const file = join(work, 'repository', name.replaceAll('%3a', '_'));
    copyFileSync(join(archives, name), file);
    const { stdout: control } = await $`dpkg-deb --field ${file}`;
    const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex');
    stanzas.push(
      `${control.trim()}\nFilename: ./${name.replaceAll('%3a', '_')}\nSize: ${statSync(file).size}\nSHA256: ${sha256}\n`,
    );
  }
  const index = stanzas.join('\n');
  writeFileSync(join(work, 'repository/Packages'), index);
  writeFileSync(join(work, 'repository/Packages.gz'), gzipSync(index));
  writeFileSync(join(work, 'repository/Release'), release(index));
  mkdirSync(dirname(directory), { recursive: true });
  renameSync(join(work, 'repository'), directory);
  rmSync(work, { recursive: true, force: true });
}

/** The file that says which index files there are (Debian's repository format, flat). */
function release(index: string): string {
  const files = [
    ['Packages', Buffer.from(index)],
    ['Packages.gz', gzipSync(index)],
  ] as const;
  const sums = files.map(
    ([name, text]) => ` ${createHash('sha256').update(text).digest('hex')} ${text.length} ${name}\n`,
  );
  return `Origin: Heartwood lab\nLabel: Heartwood lab\nSuite: lab\nCodename: lab\nDate: ${new Date().toUTCString()}\nSHA256:\n${sums.join('')}`;
}

/** The line of sources.list by which a host uses the repository on its lab's mirror. Its own, so it is trusted. */
export function aptSource(mirror: string, arch: Architecture): string {
  return `deb [trusted=yes] ${mirror}/debian/${arch} ./\n`;
}
