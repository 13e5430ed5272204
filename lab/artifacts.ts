/**
 * The k3s that a lab's mirror serves. In this order: the binary that `K3S_BIN` names; the real release, where it can be
 * downloaded; the stand-in, built from lab/k3s. Images always are the lab's own (lab/k3s/images), as hosts have no
 * registry to pull from.
 */
import { createHash } from 'node:crypto';
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { UserError } from '../engine/errors.ts';
import { goEnvironment } from './go.ts';
import { $, allOf, type Say } from './local.ts';
import { withLock } from './lock.ts';
import { cacheDirectory, repository } from './names.ts';
import { machineArchitecture } from './prepare.ts';
import type { Architecture } from './shape.ts';
import { hashOfSources } from './sources.ts';

/** The version labs serve, and its channel. */
export const k3sVersion = 'v1.36.2+k3s1';

/** Where k3s publishes its releases. */
const releases = 'https://github.com/k3s-io/k3s/releases/download';

/** Where a k3s came from. */
export type K3sSource = 'K3S_BIN' | 'release' | 'stand-in';

/** Puts k3s for these architectures into `files`, laid out as on the release page; returns where it came from. */
export async function provideK3s(files: string, arches: readonly Architecture[], say: Say): Promise<K3sSource> {
  const provided = await allOf(
    arches.map(async (arch) => {
      const { binary, source, images } = await makeK3s(arch, say);
      const directory = join(files, k3sVersion);
      mkdirSync(directory, { recursive: true });
      const artifacts = [
        { name: binaryName(arch), path: binary },
        { name: archiveName(arch), path: images },
      ];
      for (const { name, path } of artifacts) await keep(path, join(directory, name));
      const names = artifacts.map(({ name }) => name);
      writeFileSync(join(directory, `sha256sum-${arch}.txt`), await checksums(directory, names));
      return { arch, source };
    }),
  );
  const own = provided.find(({ arch }) => arch === machineArchitecture()) ?? provided[0];
  return own?.source ?? 'stand-in';
}

/** A k3s in the cache. */
interface MadeK3s {
  readonly binary: string;
  readonly source: K3sSource;
  /** The archive of its images. */
  readonly images: string;
}

/** Downloads or builds what labs serve as k3s for this architecture, where the cache hasn't got it. */
export async function makeK3s(arch: Architecture, say: Say): Promise<MadeK3s> {
  const cache = join(cacheDirectory(), 'k3s');
  mkdirSync(cache, { recursive: true });
  // Two labs that need the same at once build it once.
  return withLock(`k3s-${arch}`, async () => {
    await build('lab/k3s/images/build.sh', arch, join(cache, 'images'), say);
    const [binary, source] = await k3sBinary(arch, cache, say);
    return { binary, source, images: join(cache, 'images', archiveName(arch)) };
  });
}

/** Has `place` be the file that `path` is now, whatever another lab's build puts at `path` later. */
async function keep(path: string, place: string): Promise<void> {
  await $`cp --reflink=auto ${path} ${place}`;
}

/** The release's name of the binary: only AMD64's has no suffix. */
export function binaryName(arch: Architecture): string {
  return arch === 'amd64' ? 'k3s' : `k3s-${arch}`;
}

/** The release's name of the archive of images. */
function archiveName(arch: Architecture): string {
  return `k3s-airgap-images-${arch}.tar.zst`;
}

/** Where downloaded releases are kept. */
export function releaseFolder(): string {
  return join(cacheDirectory(), 'k3s', 'release');
}

async function k3sBinary(arch: Architecture, cache: string, say: Say): Promise<[path: string, source: K3sSource]> {
  const given = process.env['K3S_BIN'];
  if (given && arch === machineArchitecture()) return [await checkedBinary(resolve(given)), 'K3S_BIN'];
  if (given) say(`K3S_BIN is for this machine's architecture; ${arch} hosts get the stand-in`);
  else if (await download(arch, releaseFolder(), say)) return [join(releaseFolder(), binaryName(arch)), 'release'];
  // By its sources, so that clones that share a cache don't build in turns.
  const directory = join(cache, 'stand-in', standInHash().slice(0, 12));
  await build('lab/k3s/build.sh', arch, directory, say);
  return [join(directory, binaryName(arch)), 'stand-in'];
}

/** The hash of the sources that the stand-in is built from. */
function standInHash(): string {
  const parts = ['go.mod', 'go.sum', 'build.sh', 'tools', 'cmd', 'internal'].map((name) => `lab/k3s/${name}`);
  return hashOfSources(parts, (path) => !path.endsWith('_test.go'));
}

/** The given binary, when it runs and says the version that the lab serves it as. */
async function checkedBinary(path: string): Promise<string> {
  const asked = existsSync(path) ? await $({ nothrow: true })`${path} --version` : undefined;
  const version = /^k3s version (\S+)/m.exec(asked?.stdout ?? '')?.[1];
  if (version === k3sVersion) return path;
  const what = version ? `K3S_BIN is k3s ${version}` : `K3S_BIN=${path} is no k3s binary that runs here`;
  throw new UserError({ what, expected: `k3s ${k3sVersion} for this machine` });
}

/**
 * Downloads the real binary into `directory` unless it is there. Returns false where the release can't be reached. That
 * is tried for three seconds, and not again for a day.
 */
async function download(arch: Architecture, directory: string, say: Say): Promise<boolean> {
  const name = binaryName(arch);
  if (existsSync(join(directory, name))) return true;
  const note = join(directory, 'unreachable');
  const aDay = 86_400_000;
  if (existsSync(note) && Date.now() - statSync(note).mtimeMs < aDay) return false;
  mkdirSync(directory, { recursive: true });
  const base = `${releases}/${encodeURIComponent(k3sVersion)}`;
  try {
    const sums = await fetch(`${base}/sha256sum-${arch}.txt`, { signal: AbortSignal.timeout(3000) });
    const wanted = sums.ok ? new RegExp(`^([0-9a-f]{64})\\s+${name}$`, 'm').exec(await sums.text())?.[1] : undefined;
    if (!wanted) throw new Error(`no checksum of ${name}`);
    say(`downloading k3s ${k3sVersion} for ${arch}`);
    const answer = await fetch(`${base}/${name}`);
    if (!answer.ok || !answer.body) throw new Error(`${name}: HTTP status ${answer.status}`);
    await pipeline(Readable.fromWeb(answer.body), createWriteStream(join(directory, `${name}.part`), { mode: 0o755 }));
    if ((await sha256(join(directory, `${name}.part`))) !== wanted) throw new Error(`${name} has a wrong checksum`);
    renameSync(join(directory, `${name}.part`), join(directory, name));
    return true;
  } catch (error) {
    rmSync(join(directory, `${name}.part`), { force: true });
    writeFileSync(note, `${error}\n`);
    say('the real k3s release is out of reach from here; the mirror serves the stand-in');
    return false;
  }
}

/** Runs a build script; it does nothing where what it builds is current. */
async function build(script: string, arch: Architecture, directory: string, say: Say): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const env = await goEnvironment(say);
  const running = $({ nothrow: true, env })`nice sh ${join(repository, script)} ${arch} ${directory} 2>&1`;
  const last: string[] = [];
  for await (const line of running) {
    last.push(line);
    if (last.length > 20) last.shift();
    say(line);
  }
  if ((await running).exitCode !== 0) {
    throw new UserError({
      what: `${script} ${arch} failed:\n    ${last.slice(-12).join('\n    ')}`,
      hint: 'npm run lab -- up --no-k3s boots the hosts without it',
    });
  }
}

/** The text of a release's list of checksums, of these files in `directory`. */
async function checksums(directory: string, names: readonly string[]): Promise<string> {
  const lines = await Promise.all(names.map(async (name) => `${await sha256(join(directory, name))}  ${name}\n`));
  return lines.join('');
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
