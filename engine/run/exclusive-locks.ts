/** Locks on what survives the loss of one host but not of two: one mutex a lock, shut for good when a host does not recover. */
import pLimit, { type LimitFunction } from 'p-limit';

/** The locks of a run. */
export class ExclusiveLocks {
  readonly #mutexes = new Map<string, LimitFunction>();
  readonly #stoppedBy = new Map<string, string>();

  /**
   * Waits until no other host disrupts `lock`, then does `work`.
   * @returns what `work` returned, or the name of the host after which `lock` did not recover.
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

  /** `lock` did not recover after `host` disrupted it: nobody else disrupts it in this run. */
  stop(lock: string, host: string): void {
    if (!this.#stoppedBy.has(lock)) this.#stoppedBy.set(lock, host);
  }
}
