/** A file fetched by the host itself. */

import { didYouMean, InvalidValue, UserError } from '../errors.ts';
import type { Explanation, Resource } from '../resource.ts';
import { type ShellFunction, sh, shellFunction } from '../script.ts';
import {
  BOOLEAN,
  type OptionsOf,
  required,
  SECONDS,
  STRING_LIST,
  TEXT,
  validateOptions,
  valueType,
} from '../validate-options.ts';
import {
  explainPath,
  hwClear,
  hwDrop,
  hwOwn,
  hwStage,
  hwSwap,
  leftover,
  OWNERSHIP,
  ownership,
  PATH,
  statFormat,
  temporaryBeside,
} from './atomic-path.ts';
import { hwFile, hwSame } from './file.ts';

const OPTIONS = {
  /** Where it is: absolute. */
  path: required(PATH),
  /** Its URL. Several are mirrors of one another, tried in order. Plain `http` will do, since the hash is checked. */
  url: required(
    valueType<string | readonly string[]>(
      'a URL, or a list of URLs',
      (value) => TEXT.fits(value) || STRING_LIST.fits(value),
    ),
  ),
  /** In hex. */
  sha256: required(TEXT),
  /** Seconds. Default: 1800. */
  timeout: SECONDS,
  /**
   * One host fetches it. The other hosts of the run get it from that one, or from any that has it already, through the
   * controller. For hosts behind one slow line. What they get is checked as if it came from a mirror. Where it can't be
   * had, they fetch it too.
   */
  fromPeers: BOOLEAN,
  ...OWNERSHIP,
};

/** What {@link download} takes. The mode defaults to `0644`. */
export type DownloadOptions = OptionsOf<typeof OPTIONS>;

/**
 * `hw_fetch URL NEXT`: downloads into NEXT, continuing where NEXT ends. Gives up on a server that does not answer for
 * 15 s or sends less than 1 kB/s for 30 s. The reason is in `hw_err`.
 */
const hwFetch: ShellFunction = shellFunction(
  'hw_fetch',
  `
if command -v curl >/dev/null; then
  hw_err=$(curl -fsSL -C - --connect-timeout 15 --speed-limit 1024 --speed-time 30 -o "$2" -- "$1" 2>&1); hw_rc=$?
  if [ $hw_rc = 23 ]; then
    # curl does not say why it cannot write. The shell does, when it appends a block. That spoils the file, so it is emptied.
    hw_why=$( { printf %65536s '' >> "$2"; } 2>&1 ) || hw_err=$hw_why
    : > "$2"
  fi
  return $hw_rc
elif command -v wget >/dev/null; then
  case $(wget --version 2>/dev/null) in *GNU*) set -- "$1" "$2" -nv -t 1 ;; esac
  hw_url=$1 hw_next=$2; shift 2
  hw_err=$(wget "$@" -c -T 30 -O "$hw_next" "$hw_url" 2>&1)
else
  hw_err='neither curl nor wget is there'; return 127
fi`,
);

/** `hw_progress NEXT`: prints every 3 s how much has arrived, until it is killed. */
const hwProgress: ShellFunction = shellFunction(
  'hw_progress',
  `
trap 'kill $hw_sleep; exit' TERM
while :; do
  sleep 3 & hw_sleep=$!; wait $hw_sleep
  [ ! -f "$1" ] || printf 'progress: %s MB\\n' $(( ($(stat -c %s -- "$1") + 524288) / 1048576 ))
done`,
);

/**
 * `hw_download PATH NEXT SHA256 URL...`: tries the mirrors in turn, twice, until NEXT has the hash. It may have it to
 * begin with. A download that breaks off continues, at the next mirror too. Content with a wrong hash is thrown away,
 * and its mirror is not asked again.
 */
const hwDownload: ShellFunction = shellFunction(
  'hw_download',
  `
[ ! -d "$1" ] || [ -L "$1" ] || { printf 'heartwood: %s is a directory\\n' "$1" >&2; return 1; }
[ -d "\${1%/*}/" ] || { printf 'heartwood: %s is no directory\\n' "\${1%/*}" >&2; return 1; }
if [ -L "$2" ] || [ ! -O "$2" ]; then rm -f -- "$2" && ( umask 077 && set -C && : > "$2" ) || return; fi
if [ -s "$2" ] && hw_same "$2" "$3"; then return 0; fi
hw_next=$2 hw_want=$3 hw_bad=' '; shift 3
hw_progress "$hw_next" & hw_bar=$!
for hw_url in "$@" "$@"; do
  case $hw_bad in *" $hw_url "*) continue ;; esac
  while :; do
    hw_had=; [ ! -s "$hw_next" ] || hw_had=1
    hw_fetch "$hw_url" "$hw_next"; hw_rc=$?
    if hw_same "$hw_next" "$hw_want"; then kill $hw_bar; wait $hw_bar; return 0; fi
    case $hw_rc/$hw_had/$hw_err in
      0//*) printf 'heartwood: %s: wrong checksum %s\\n' "$hw_url" "$hw_sum" >&2; hw_bad="$hw_bad$hw_url "; : > "$hw_next"; break ;;
      0/1/*|33/1/*|36/1/*|*/1/*416*) : > "$hw_next" ;;
      *) : "\${hw_err:=exit code $hw_rc}"; printf 'heartwood: %s: %s\\n' "$hw_url" "\${hw_err##*
}" >&2; break ;;
    esac
  done
done
kill $hw_bar; wait $hw_bar
[ -s "$hw_next" ] || rm -f -- "$hw_next"
return 1`,
  [hwProgress, hwFetch, hwSame],
);

/**
 * A file that the host fetches from the first mirror that has it. It appears complete and checked, with its mode and
 * owner, or not at all. What a cut run fetched is continued. Prints its progress while it runs.
 */
export function download(options: DownloadOptions): Resource {
  validateOptions('download', options, OPTIONS);
  const { path } = options;
  const next = temporaryBeside(path);
  const own = ownership(options, '0644');
  const owner = `${own.owner}:${own.group}`;
  const urls = [options.url].flat();
  const sum = options.sha256.toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(sum)) {
    throw new InvalidValue({ what: `"${options.sha256}" is no sha256 for ${path}`, expected: '64 hexadecimal digits' });
  }
  for (const url of urls) {
    if (!/^https?:\/\/[^\s/]+/.test(url))
      throw new InvalidValue({
        what: `"${url}" is no URL to download ${path} from`,
        expected: 'http://... or https://...',
      });
  }
  return {
    kind: 'download',
    id: path,
    probe: sh`${hwFile} ${path} ${statFormat(own)} ''\n${leftover(path)}`,
    wanted: { type: 'file', ...own, sha256: sum, leftover: 'no' },
    change: () => sh`
if ${hwSame} ${path} ${sum}; then
  ${hwClear} ${next} && ${hwOwn} ${own.mode} ${owner} ${path}; exit
fi
${hwDownload} ${path} ${next} ${sum} ${urls} || exit
${hwOwn} ${own.mode} ${owner} ${next} || ${hwDrop} ${next}
${hwSwap} ${next} ${path} || ${hwDrop} ${next}`,
    peerSource: options.fromPeers
      ? { key: sum, read: sh`cat -- ${path}`, write: sh`${hwStage} ${path} ${next} && cat >> ${next}` }
      : undefined,
    keeps: [path],
    timeout: options.timeout ?? 1800,
    explain: ({ stderr }) => explainPath(path, stderr) ?? explainDownload(sum, stderr),
  };
}

/** What happened at each mirror. */
function explainDownload(wanted: string, stderr: string): Explanation | undefined {
  const byUrl = new Map<string, string>();
  for (const [, url, message] of stderr.matchAll(/^heartwood: (https?:\S+): (.*)$/gm)) {
    if (url !== undefined && message !== undefined) byUrl.set(url, reason(message));
  }
  if (byUrl.size === 0) return undefined;
  const reasons = [...byUrl.values()].join(' ');
  const hint = reasons.includes('wrong checksum')
    ? `the mirror serves another file, or the wanted hash ${wanted} is not this version's`
    : reasons.includes('certificate')
      ? "the host's clock, and its ca-certificates package"
      : 'fetch that URL on the host with curl -v; or name another mirror';
  return { what: [...byUrl].map(([url, why]) => `${url}: ${why}`).join('; '), hint };
}

/** A message of curl, GNU wget or busybox wget as a cause. */
function reason(message: string): string {
  const [, status] = /(?:returned error:|ERROR|HTTP\/[\d.]+) (?:HTTP\/[\d.]+ )?(\d{3})/.exec(message) ?? [];
  if (status) return `the server answers ${status}`;
  if (/wrong checksum/.test(message)) return message;
  if (/resolve|unable to resolve|bad address/i.test(message)) return 'its name cannot be resolved';
  if (/remaining|partial|prematurely|closed at byte|Connection closed|Empty reply|reset/i.test(message))
    return `cut off before its end (${message})`;
  if (/certificate|SSL|TLS/i.test(message)) return `its certificate is not accepted (${message})`;
  if (/timed out|too slow|timeout|Network is unreachable|No route/i.test(message))
    return `does not answer (${message})`;
  if (/refused|Couldn't connect|can't connect|Failed to connect/i.test(message)) return 'nothing listens there';
  return message;
}

/** From what `uname -m` prints to the names that Go, Debian and container images use. */
const ARCHITECTURES: ReadonlyMap<string, string> = new Map([
  ['x86_64', 'amd64'],
  ['aarch64', 'arm64'],
  ['armv7l', 'arm'],
  ['armv6l', 'arm'],
  ['armhf', 'arm'],
  ['i686', '386'],
]);

/**
 * The entry of a per-architecture table: `byArch({ amd64: ..., arm64: ... }, facts.arch)`. Takes `uname -m`'s names and
 * the usual ones.
 * @throws UserError when the table has none for this architecture.
 */
export function byArch<T>(table: Readonly<Record<string, T>>, arch: string): T {
  const name = ARCHITECTURES.get(arch) ?? arch;
  for (const key of [arch, name]) {
    const entry = Object.hasOwn(table, key) ? table[key] : undefined;
    if (entry !== undefined) return entry;
  }
  const near = didYouMean(name, Object.keys(table));
  throw new UserError({
    what: `there is nothing for architecture ${arch}`,
    expected: Object.keys(table).join(', '),
    hint: near && `did you mean "${near}"?`,
  });
}
