/** Waiting in tests for what takes its time on a busy machine. */
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Looks every half second until `look` is true, for at most `seconds`, and says whether it came true. A look that throws
 * was not true.
 */
export async function until(seconds: number, look: () => Promise<boolean>): Promise<boolean> {
  const deadline = performance.now() + seconds * 1000;
  while (performance.now() < deadline) {
    if (await look().catch(() => false)) return true;
    await sleep(500);
  }
  return false;
}
