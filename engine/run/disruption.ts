/** Things that survive the loss of one host but not of two: one mutex a thing, shut for good when a host does not recover. */
import pLimit, { type LimitFunction } from 'p-limit';

/** The things of a run. */
export class Disruptions {
  readonly #mutexes = new Map<string, LimitFunction>();
  readonly #stoppedBy = new Map<string, string>();

  /**
   * Waits until no other host disrupts `thing`, then does `work`.
   * @returns what `work` returned, or the name of the host after which `thing` did not recover.
   */
  async exclusively<T>(
    thing: string,
    work: () => Promise<T>,
  ): Promise<{ readonly value: T } | { readonly stoppedBy: string }> {
    let mutex = this.#mutexes.get(thing);
    if (!mutex) {
      mutex = pLimit(1);
      this.#mutexes.set(thing, mutex);
    }
    return mutex(async () => {
      const stoppedBy = this.#stoppedBy.get(thing);
      return stoppedBy === undefined ? { value: await work() } : { stoppedBy };
    });
  }

  /** `thing` did not recover after `host` disrupted it: nobody else disrupts it in this run. */
  stop(thing: string, host: string): void {
    if (!this.#stoppedBy.has(thing)) this.#stoppedBy.set(thing, host);
  }
}
