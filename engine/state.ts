/**
 * A state as flat `key=value` lines. Probe output, wanted state, diff and the guard on the host all have this shape
 * (docs/architecture.md).
 */
import type { Script, ShellFunction } from './script.ts';
import { sh, shellFunction } from './script.ts';

/** The state found or wanted: `{ type: 'file', mode: '0644', sha256: '...' }`. Values hold no NUL byte. */
export type State = Readonly<Record<string, string>>;

/** One key in which found and wanted differ. `found` is undefined where the probe did not print the key. */
export interface Difference {
  readonly key: string;
  readonly found: string | undefined;
  readonly wanted: string;
}

/**
 * Reads what a probe printed.
 * @throws Error when a line is not `key=value`: the probe is wrong, not the host.
 */
export function parseState(output: string): State {
  const state: Record<string, string> = {};
  for (const line of output.split('\n')) {
    if (line === '') continue;
    const [, key, value] = /^([\w.:@/+-]+)=(.*)$/s.exec(line) ?? [];
    if (key === undefined || value === undefined)
      throw new Error(`the probe printed a line that is not key=value: ${line}`);
    state[key] = decode(value);
  }
  return state;
}

/** The keys of `wanted` that `found` does not satisfy. Keys that only `found` has are ignored. */
export function differences(found: State, wanted: State): Difference[] {
  return Object.entries(wanted)
    .filter(([key, value]) => found[key] !== value)
    .map(([key, value]) => ({ key, found: found[key], wanted: value }));
}

/** A state as the lines a probe would print. */
export function formatState(state: State): string {
  return Object.entries(state)
    .map(([key, value]) => `${key}=${encode(value)}`)
    .join('\n');
}

const encode = (value: string): string => value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
const decode = (value: string): string => value.replace(/\\([\\n])/g, (_, c: string) => (c === 'n' ? '\n' : '\\'));

/**
 * `hw_kv KEY VALUE`: prints one line of a state. Needed where a value may hold a backslash or a line break. Elsewhere a
 * probe may print `key=value` itself.
 */
export const hwKv: ShellFunction = shellFunction(
  'hw_kv',
  `
hw_v=$2
case $hw_v in *[\\\\'
']*) hw_v=$(printf '%s\\n' "$hw_v" | sed -e 's/\\\\/\\\\\\\\/g' -e '$!s/$/\\\\n/' | tr -d '\\n') ;; esac
printf '%s=%s\\n' "$1" "$hw_v"`,
);

/** `hw_holds FOUND WANTED`: succeeds when every line of WANTED is a line of FOUND. Starts no process. */
export const hwHolds: ShellFunction = shellFunction(
  'hw_holds',
  `
while IFS= read -r hw_line; do
  [ -n "$hw_line" ] || continue
  case "
$1
" in *"
$hw_line
"*) ;; *) return 1 ;; esac
done <<HW_WANTED
$2
HW_WANTED`,
);

/** A condition for the host: does the output of the last captured step (`$hw_out`) hold `wanted`? */
export function holds(wanted: State): Script {
  return sh`${hwHolds} "$hw_out" ${formatState(wanted)}`;
}
