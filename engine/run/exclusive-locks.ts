/**
 * Exclusive locks on what survives the loss of one host but not of two. One host holds a lock at a time. When a health
 * check fails after a host held it, no other host gets it in this run.
 */
import pLimit, { type LimitFunction } from 'p-limit';

/** The locks of a run. */
export class ExclusiveLocks {
  readonly #mutexes = new Map<string, LimitFunction>();
  readonly #stoppedBy = new Map<string, string>();

  /**
   * Waits until no other host holds `lock`, then does `work`.
   * @returns what `work` returned, or the name of the host after which the health check failed.
   */
  async exclusively<T>(
    lock: string,
    work: () => Promise<T>,
  ): Promise<{ readonly value: T } | { readonly stoppedBy: string }> {
    let mutex = this.#mutexes.get(lock);
    if (!mutex) {
      mutex = pLimit(1);
      this.#mutexes.set(lock, mutex);
    }
    return mutex(async () => {
      const stoppedBy = this.#stoppedBy.get(lock);
      return stoppedBy === undefined ? { value: await work() } : { stoppedBy };
    });
  }

  /** The health check failed after `host` held `lock`: no other host gets it in this run. */
  stop(lock: string, host: string): void {
    if (!this.#stoppedBy.has(lock)) this.#stoppedBy.set(lock, host);
  }
}
