/**
 * Which machine a shell runs on: one id for every connection to a host, whatever name or address it was reached by, and
 * another id for every other host.
 */

/**
 * Shell words that print two things: the boot id of the kernel, and device and inode of the root directory. Containers
 * share the boot id of their kernel and have root directories of their own; hosts made from one disk image have boot
 * ids of their own. It holds no single quote, so that it can stand between two.
 */
export const MACHINE_ID_WORDS =
  '$({ read -r id </proc/sys/kernel/random/boot_id; } 2>/dev/null && echo $id) $(stat -c %d:%i / 2>/dev/null)';

/** The id that those words say; undefined where the host does not know one of the two. */
export function parseMachineId(words: string): string | undefined {
  const [, boot, device, inode] = /^\s*([0-9a-f-]{36}) (\d+):(\d+)\s*$/.exec(words) ?? [];
  return boot && `${boot}-${device}-${inode}`;
}
