/** Checks that are made again right before a change, and were waived by name. */
import type { HostView } from '../../engine/index.ts';

/** Is the check waived (`-e waive=split-brain`)? The engine reads the same variable for `checks`. */
export function isWaived(host: HostView, id: string): boolean {
  const waive = host.var('waive') ?? [];
  const words = Array.isArray(waive) ? waive : String(waive).split(',');
  return words.some((word) => String(word).trim() === id);
}
