/** Output of a step, bounded: the first and last halves of what may be kept. */
import { OUTPUT_LIMIT } from './session.ts';

/** Collects one stream of one step. */
export class BoundedOutput {
  readonly #half: number;
  readonly #head: Buffer[] = [];
  readonly #tail: Buffer[] = [];
  #headSize = 0;
  #tailSize = 0;
  #dropped = false;

  /** @param limit Bytes kept in all. */
  constructor(limit = OUTPUT_LIMIT) {
    this.#half = limit / 2;
  }

  /** True when the middle was dropped. */
  get truncated(): boolean {
    return this.#dropped;
  }

  /** Adds the next chunk. */
  add(chunk: Buffer): void {
    const room = this.#half - this.#headSize;
    const head = chunk.subarray(0, room);
    if (head.length > 0) {
      this.#head.push(head);
      this.#headSize += head.length;
    }
    const rest = chunk.subarray(head.length);
    if (rest.length === 0) return;
    this.#tail.push(rest);
    this.#tailSize += rest.length;
    while (this.#tailSize > this.#half) this.#dropFromTail(this.#tailSize - this.#half);
  }

  #dropFromTail(bytes: number): void {
    this.#dropped = true;
    const [first] = this.#tail;
    if (!first) return;
    const cut = Math.min(bytes, first.length);
    if (cut === first.length) this.#tail.shift();
    else this.#tail[0] = first.subarray(cut);
    this.#tailSize -= cut;
  }

  /** What was kept, as a copy: the chunks are views of larger network buffers, which it would keep alive. */
  take(): Buffer {
    return Buffer.concat([...this.#head, ...this.#tail]);
  }
}
