/** How a play's hosts are cut into batches by `serial`. */
import type { Serial } from '../../play.ts';

/**
 * `hosts` in batches. A list of sizes is used in turn and its last repeated; a percentage is of all hosts of the play,
 * rounded down, at least one. Without `serial`: one batch of all.
 */
export function batches<T>(hosts: readonly T[], serial: Serial | readonly Serial[] | undefined): T[][] {
  if (hosts.length === 0) return [];
  const sizes: readonly Serial[] =
    serial === undefined ? [hosts.length] : typeof serial === 'object' ? serial : [serial];
  const result: T[][] = [];
  for (let start = 0, i = 0; start < hosts.length; i++) {
    const size = hostCount(sizes[Math.min(i, sizes.length - 1)] ?? hosts.length, hosts.length);
    result.push(hosts.slice(start, start + size));
    start += size;
  }
  return result;
}

function hostCount(size: Serial, total: number): number {
  const count = typeof size === 'number' ? size : Math.floor((Number.parseFloat(size) / 100) * total);
  // 0 means all hosts in Ansible.
  return size === 0 ? total : Math.max(1, Math.trunc(count));
}
