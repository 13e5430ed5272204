/** What crosses a connection as the network sees it: encrypted, and with all that ssh itself has to say. */
import type { Duplex } from 'node:stream';
import type { Traffic } from '../traffic.ts';

/** Counts what is written to a stream and read from it by others. */
export class WireCounter {
  readonly #traffic = { roundTrips: 1, bytesOut: 0, bytesIn: 0 };
  #isSpokenTo = false;

  /** @param stream Just connected, which took the first round trip. */
  constructor(stream: Duplex) {
    stream.write = new Proxy(stream.write, {
      apply: (write, self, [chunk, ...rest]: Parameters<Duplex['write']>) => {
        this.#traffic.bytesOut += chunk.length;
        this.#isSpokenTo = true;
        return Reflect.apply(write, self, [chunk, ...rest]);
      },
    });
    // Paused again: what comes before the true reader is there is kept for both.
    stream.on('data', (chunk: Buffer) => this.#hear(chunk)).pause();
  }

  /** So far. A round trip is an answer to something that was said; where both speak at once there are more than are waited for. */
  get traffic(): Traffic {
    return { ...this.#traffic };
  }

  #hear(chunk: Buffer): void {
    this.#traffic.bytesIn += chunk.length;
    if (!this.#isSpokenTo) return;
    this.#isSpokenTo = false;
    this.#traffic.roundTrips++;
  }
}
