/** What crosses a connection as the network sees it: encrypted, ssh's own messages included. */
import type { Duplex } from 'node:stream';
import type { Traffic } from '../traffic.ts';

/** Counts what is written to a stream and read from it by others. */
export class WireCounter {
  readonly #traffic = { roundTrips: 1, bytesOut: 0, bytesIn: 0 };
  #isAnswerDue = false;

  /** @param stream Just connected, which took the first round trip. */
  constructor(stream: Duplex) {
    stream.write = new Proxy(stream.write, {
      apply: (write, self, [chunk, ...rest]: Parameters<Duplex['write']>) => {
        this.#traffic.bytesOut += chunk.length;
        this.#isAnswerDue = true;
        return Reflect.apply(write, self, [chunk, ...rest]);
      },
    });
    // Paused again: what comes before ssh reads is kept for both.
    stream.on('data', (chunk: Buffer) => this.#countIn(chunk)).pause();
  }

  /**
   * So far. A round trip is an answer after something was sent; where both sides send at once, some are counted that
   * nobody waits for.
   */
  get traffic(): Traffic {
    return { ...this.#traffic };
  }

  #countIn(chunk: Buffer): void {
    this.#traffic.bytesIn += chunk.length;
    if (!this.#isAnswerDue) return;
    this.#isAnswerDue = false;
    this.#traffic.roundTrips++;
  }
}
