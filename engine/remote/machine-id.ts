/**
 * Which machine a shell runs on: one id for every connection to a host, whatever name or address it was reached by, and
 * another id for every other host.
 */

/**
 * Shell words that print two things: the boot id of the kernel, and the device and directory that are mounted as `/`.
 * Containers share the boot id of their kernel and have roots of their own; hosts made from one disk image have boot
 * ids of their own.
 *
 * No program is started. Reading ends at the first `/`, which is among the first lines: a shell reads byte by byte, and
 * a node with a hundred pods has some hundred kilobytes of mounts. The words hold no single quote, so that they can
 * stand between two.
 */
export const MACHINE_ID_WORDS =
  '$({ read -r id </proc/sys/kernel/random/boot_id; } 2>/dev/null && echo $id) ' +
  '$({ while read -r a b dev root at c; do [ "$at" = / ] && on=$dev:$root && break; done </proc/self/mountinfo; } 2>/dev/null; echo $on)';

/** The id that those words say; undefined where the host does not know one of the two. */
export function parseMachineId(words: string): string | undefined {
  const [, boot, root] = /^\s*([0-9a-f-]{36}) (\d+:\d+:\S+)\s*$/.exec(words) ?? [];
  return boot && `${boot} ${root}`;
}
