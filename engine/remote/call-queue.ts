/** The calls of a session: carried out one at a time, in the order in which they were made. */
export class CallQueue {
  #last: Promise<unknown> = Promise.resolve();
  /** Calls that have not ended, the one at hand among them. */
  #count = 0;
  /** How many calls are to be skipped, from the next one on. */
  #skip = 0;

  /** True while there is a call that has not ended. */
  get isBusy(): boolean {
    return this.#count > 0;
  }

  /** Adds a call. @param skipped What it returns when it is skipped. */
  add<T>(call: () => Promise<T>, skipped: () => T): Promise<T> {
    this.#count++;
    const result = this.#last
      .then(() => {
        if (this.#skip === 0) return call();
        this.#skip--;
        return skipped();
      })
      .finally(() => this.#count--);
    this.#last = result.catch(() => {});
    return result;
  }

  /**
   * Skips the calls that wait. Without any call the next one is skipped: it may be on its way when the user asks to
   * stop.
   */
  skipWaiting(): void {
    this.#skip = this.isBusy ? this.#count - 1 : 1;
  }
}
