/**
 * A release of k3s: which version, its files, their checksums. Layout of the release page and of its checksum files:
 * k3s-ha-facts.md, section 2.
 */
import { type Fact, type FactOfOthers, fact, fromEach, type HostView, sh, shellFunction } from '../../engine/index.ts';
import type { Architecture } from '../cluster/system.ts';

/** Names that the release page has for an architecture. */
interface ReleaseNames {
  /** `k3s`, `k3s-arm64`, `k3s-armhf`. */
  readonly suffix: string;
  /** `sha256sum-arm.txt`, `k3s-airgap-images-arm.tar.zst`. */
  readonly arch: string;
}

/** Every architecture with a release that this project is for. */
export const releaseNames: Readonly<Record<Exclude<Architecture, 'other'>, ReleaseNames>> = {
  amd64: { suffix: '', arch: 'amd64' },
  arm64: { suffix: '-arm64', arch: 'arm64' },
  arm: { suffix: '-armhf', arch: 'arm' },
};

/** Where a server keeps what it chose and the checksums of it, so that a run with nothing to do asks no mirror. */
export const RELEASE_FILE = '/etc/rancher/k3s/release';

/** A release as a server found it. */
export type Release =
  | {
      readonly ok: true;
      readonly version: string;
      /** File names on the release page to sha256 in hex. */
      readonly sums: Readonly<Record<string, string>>;
    }
  | { readonly ok: false; readonly why: string };

/** The variables that choose a release. */
export interface ReleaseChoice {
  readonly k3s_version: string;
  readonly k3s_channel?: string | undefined;
  readonly k3s_channel_url: string;
  readonly k3s_mirror: string;
}

/**
 * `hw_get URL`: prints what is there, all or nothing. `hw_location URL`: prints where it redirects to. With curl or
 * wget.
 */
const hwGet = shellFunction(
  'hw_get',
  `
if command -v curl >/dev/null; then hw_body=$(curl -fsSL --connect-timeout 5 -m 20 "$1") || return
elif command -v wget >/dev/null; then hw_body=$(wget -q -T 20 -t 1 -O - "$1") || { hw_rc=$?; echo "wget cannot get $1 (exit code $hw_rc)" >&2; return $hw_rc; }
else echo 'there is neither curl nor wget yet' >&2; return 127; fi
printf '%s\\n' "$hw_body"`,
);
const hwLocation = shellFunction(
  'hw_location',
  `
if command -v curl >/dev/null; then curl -fsS --connect-timeout 5 -m 20 -o /dev/null -w '%{redirect_url}' "$1"
elif command -v wget >/dev/null; then wget -S -T 20 -t 1 --max-redirect=0 -O /dev/null "$1" 2>&1 | sed -n 's/^ *Location: *\\([^ ]*\\).*/\\1/p' | head -n 1
else echo 'there is neither curl nor wget yet' >&2; return 127; fi`,
);

/**
 * The release, as one host finds it. `follow`: where a channel is chosen and this host has resolved it before, that is
 * the answer, even if the channel has moved since; so one server resolves a channel, and all others get the same.
 */
export function release(choice: ReleaseChoice, follow: boolean): Fact<Release> {
  const { k3s_channel: channel = '', k3s_channel_url, k3s_mirror } = choice;
  const version = channel ? '' : choice.k3s_version;
  return fact<Release>({
    name: 'k3s release',
    script: sh`
hw_version=${version}
if [ -z "$hw_version" ] && [ ${follow ? 'yes' : 'no'} = yes ] && grep -qxF ${`channel ${channel}`} ${RELEASE_FILE} 2>/dev/null; then
  hw_version=$(sed -n 's/^version //p' ${RELEASE_FILE})
fi
if [ -z "$hw_version" ]; then
  hw_to=$(${hwLocation} ${`${k3s_channel_url}/${channel}`}) || exit
  hw_version=$(printf %s "\${hw_to##*/}" | sed 's/%2[Bb]/+/g')
  case $hw_version in v[0-9]*) ;; *) echo "the channel ${channel} leads nowhere (\${hw_to:-no redirect})" >&2; exit 1 ;; esac
fi
if grep -qxF "version $hw_version" ${RELEASE_FILE} 2>/dev/null; then cat ${RELEASE_FILE}; exit; fi
echo "version $hw_version"
hw_at=${k3s_mirror}/$(printf %s "$hw_version" | sed 's/+/%2B/g')
hw_got=1
for hw_arch in amd64 arm64 arm; do
  hw_text=$(${hwGet} "$hw_at/sha256sum-$hw_arch.txt" 2>&1) && hw_got=0 && printf '%s\\n' "$hw_text" && continue
  [ -n "$hw_why" ] || hw_why="$hw_at/sha256sum-$hw_arch.txt: $(printf %s "$hw_text" | tail -n 1)"
  case $hw_text in *'onnection'*|*'esolve'*|*'neither curl'*) break ;; esac
done
[ $hw_got = 0 ] || { printf '%s\\n' "$hw_why" >&2; exit 1; }`,
    parse: ({ stdout, stderr, exitCode }) => {
      if (exitCode !== 0) return { ok: false, why: stderr.trim().split('\n').at(-1) || `exit code ${exitCode}` };
      return parseRelease(stdout);
    },
    example: { ok: true, version: choice.k3s_version, sums: exampleSums },
  });
}

/** The release, asked of every server; of none where all that is needed is pushed from here. */
export function askReleases(
  servers: readonly HostView[],
  vars: ReleaseChoice & { readonly k3s_binary?: string | undefined; readonly k3s_airgap_images: boolean },
  follow: boolean,
): FactOfOthers<Release> {
  const pushed = vars.k3s_binary !== undefined && !vars.k3s_airgap_images;
  return fromEach(pushed ? [] : servers, release(vars, follow), 'omit');
}

const exampleSums: Readonly<Record<string, string>> = Object.fromEntries(
  Object.values(releaseNames).flatMap(({ suffix, arch }) => [
    [`k3s${suffix}`, 'a'.repeat(64)],
    [`k3s-airgap-images-${arch}.tar.zst`, 'b'.repeat(64)],
  ]),
);

/** Reads a version line and checksum lines, as the release file and the fact print them. */
export function parseRelease(output: string): Release {
  const version = /^version (\S+)$/m.exec(output)?.[1];
  if (!version) return { ok: false, why: 'the server printed no version' };
  const lines = output.matchAll(/^([0-9a-f]{64}) [ *](\S+)$/gm);
  const sums = Object.fromEntries([...lines].map(([, sum, name]) => [name, sum]));
  return { ok: true, version, sums };
}

/** The release file's content. */
export function releaseFile({ k3s_channel }: ReleaseChoice, found: Release & { ok: true }): string {
  return [
    '# Written by Heartwood: the release in use and its checksums, as the mirror had them. Delete it to ask again.',
    `channel ${k3s_channel ?? '-'}`,
    `version ${found.version}`,
    ...Object.entries(found.sums).map(([name, sum]) => `${sum}  ${name}`),
    '',
  ].join('\n');
}

/** The URL of a file of a release. A `+` in a path means itself, but object stores read it as a space. */
export function releaseUrl(mirror: string, version: string, name: string): string {
  return `${mirror.replace(/\/+$/, '')}/${version.replaceAll('+', '%2B')}/${name}`;
}

/** The answer that counts: the first server's, in the inventory's order, that found one. */
export function chosenRelease(servers: readonly HostView[], found: ReadonlyMap<string, Release>): Release {
  const answers = servers.flatMap((server) => found.get(server.name) ?? []);
  return answers.find(({ ok }) => ok) ?? answers[0] ?? { ok: false, why: 'no server could be asked' };
}

/** The version to install: what is pushed from here is of k3s_version; else what was found. */
export function wantedVersion(
  found: Release,
  vars: Pick<ReleaseChoice, 'k3s_version'> & { readonly k3s_binary?: string | undefined },
): string {
  return found.ok && vars.k3s_binary === undefined ? found.version : vars.k3s_version;
}

/** Below zero where `a` is older than `b`. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [numbers(a), numbers(b)];
  for (let i = 0; i < 4; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** `v1.36.2+k3s1` is [1, 36, 2, 1]: the 3 of k3s is no part of it. */
const numbers = (version: string): readonly number[] => (version.replace('k3s', '').match(/\d+/g) ?? []).map(Number);

/** Does the way from one version to another leave a minor version out? */
export function skipsMinor(from: string, to: string): boolean {
  const [a, b] = [numbers(from), numbers(to)];
  return (a[0] ?? 0) !== (b[0] ?? 0) || (b[1] ?? 0) - (a[1] ?? 0) > 1;
}
