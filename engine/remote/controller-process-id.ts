/**
 * This process, as a name that a later process of the same machine can look up: does it still run? With it a lock that
 * was left on a host behind a broken link can be told from one that is in use.
 */
import { readFileSync, readlinkSync } from 'node:fs';

/** Stands where a process cannot be named for certain (no Linux). It never counts as ended. */
const UNKNOWN = '-';

/**
 * `BOOT:NAMESPACE:PID:START`: the boot of the machine, the pid namespace (containers have their own), and when the
 * process began, in clock ticks since boot.
 */
export function controllerProcessId(pid: number = process.pid): string {
  const here = bootAndNamespace();
  const start = startOf(pid);
  return here === undefined || start === undefined ? UNKNOWN : `${here}:${pid}:${start}`;
}

/**
 * True when the process of that name ran here, in this boot, and has ended. Of other machines' processes nothing is
 * known.
 */
export function hasEnded(id: string): boolean {
  const [boot, namespace, pid] = id.split(':');
  if (pid === undefined || `${boot}:${namespace}` !== bootAndNamespace()) return false;
  return controllerProcessId(Number(pid)) !== id;
}

function bootAndNamespace(): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const [namespace] = /\d+/.exec(readlinkSync('/proc/self/ns/pid')) ?? [];
    return namespace && `${boot}:${namespace}`;
  } catch {
    return undefined;
  }
}

/** Field 22 of /proc/PID/stat; undefined when there is no such process, or only a zombie. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
