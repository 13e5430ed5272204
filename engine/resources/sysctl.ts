/** A kernel parameter. */

import { InvalidValue } from '../errors.ts';
import type { Resource } from '../resource.ts';
import { type ShellFunction, sh, shellFunction } from '../script.ts';
import { type OptionsOf, validateOptions } from '../validate-options.ts';
import { explainPath, hwDrop, hwKeepOwner, hwStage, hwSwap, PATH, temporaryBeside } from './atomic-path.ts';

const OPTIONS = {
  /** Where the value is kept for the next boot. Default: `/etc/sysctl.d/zz-heartwood.conf`, which is read last. */
  file: PATH,
};

/** What {@link sysctl} takes besides key and value. */
export type SysctlOptions = OptionsOf<typeof OPTIONS>;

/** `hw_words TEXT`: sets `hw_words` to the words of TEXT with one space between them. */
const hwWords: ShellFunction = shellFunction('hw_words', 'set -f; set -- $1; set +f; hw_words=$*');

/** `hw_sysctl_file FILE KEY`: sets `hw_kept` to the last value that FILE has for KEY. */
const hwSysctlFile: ShellFunction = shellFunction(
  'hw_sysctl_file',
  `
hw_kept=absent
[ ! -f "$1" ] || while IFS='=' read -r hw_key hw_value; do
  hw_words "$hw_key"; [ "\${hw_words#-}" != "$2" ] || { hw_words "$hw_value"; hw_kept=$hw_words; }
done < "$1"`,
  [hwWords],
);

/**
 * `hw_sysctl PROC FILE KEY`: the value now, and the value at the next boot. It uses `cat`, since `read` reads byte by
 * byte and /proc/sys gives nothing after the first byte.
 */
const hwSysctl: ShellFunction = shellFunction(
  'hw_sysctl',
  `
if [ -e "$1" ]; then hw_words "$(cat "$1")"; echo "now=$hw_words"; else echo now=absent; fi
hw_sysctl_file "$2" "$3"
echo "kept=$hw_kept"`,
  [hwWords, hwSysctlFile],
);

/** `hw_without FILE KEY`: prints the lines of FILE that do not set KEY. */
const hwWithout: ShellFunction = shellFunction(
  'hw_without',
  `
[ ! -f "$1" ] || while IFS= read -r hw_line || [ -n "$hw_line" ]; do
  hw_words "\${hw_line%%=*}"; [ "\${hw_words#-}" = "$2" ] || printf '%s\\n' "$hw_line"
done < "$1"`,
  [hwWords],
);

/**
 * A kernel parameter (`net.ipv4.ip_forward`), now and after the next boot. Several may share a file; other lines of it
 * stay. Where an interface's name has a dot, write it with a slash: `net.ipv4.conf.eth0/100.rp_filter`.
 */
export function sysctl(key: string, value: string | number, options: SysctlOptions = {}): Resource {
  validateOptions('sysctl', options, OPTIONS);
  if (!/^[\w/-]+(\.[\w/-]+)+$/.test(key)) {
    throw new InvalidValue({
      what: `"${key}" is no kernel parameter`,
      expected: 'names with dots between: vm.swappiness',
    });
  }
  const wanted = String(value).trim().split(/\s+/).join(' ');
  const path = options.file ?? '/etc/sysctl.d/zz-heartwood.conf';
  const next = temporaryBeside(path);
  // sysctl.d(5): with a dot as the first separator, dots and slashes in the rest are swapped.
  const proc = `/proc/sys/${key.replaceAll(/[./]/g, (c) => (c === '.' ? '/' : '.'))}`;
  return {
    kind: 'sysctl',
    id: key,
    probe: sh`${hwSysctl} ${proc} ${path} ${key}`,
    wanted: { now: wanted, kept: wanted },
    change: () => sh`
[ -e ${proc} ] || { echo 'heartwood: no such parameter' >&2; exit 1; }
printf '%s\n' ${wanted} > ${proc} || { echo 'heartwood: value refused' >&2; exit 1; }
${hwStage} ${path} ${next} || exit
{ ${hwWithout} ${path} ${key} && printf '%s = %s\n' ${key} ${wanted}; } > ${next} || ${hwDrop} ${next}
${hwKeepOwner} ${path} ${next} 0644 root:root && ${hwSwap} ${next} ${path} || ${hwDrop} ${next}`,
    keeps: [path],
    explain: ({ stderr }) => {
      if (stderr.includes('no such parameter')) {
        return {
          what: `this kernel has no parameter ${key}`,
          hint: 'put the task that loads its kernel module before this one; or check the spelling',
        };
      }
      if (stderr.includes('value refused') && /Read-only file system/.test(stderr)) {
        return { what: `${key} can only be set outside this container: /proc/sys is read-only here` };
      }
      if (stderr.includes('value refused')) return { what: `the kernel refuses the value ${wanted} for ${key}` };
      return explainPath(path, stderr);
    },
  };
}
