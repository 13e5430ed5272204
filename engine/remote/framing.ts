/**
 * Records and output on one stream. A record is a random marker, some words and a line break. What a step prints is
 * passed on byte for byte: it cannot contain the marker, which it does not know.
 */
import { randomBytes } from 'node:crypto';

/** A piece of a framed stream: output as it came, or a record's words. */
export type Frame =
  | { readonly kind: 'data'; readonly data: Buffer }
  | { readonly kind: 'record'; readonly words: readonly string[] };

/** A new marker: 128 random bits in hexadecimal. */
export function newMark(): string {
  return randomBytes(16).toString('hex');
}

/** What stands before a record's words on a stream: ASCII's record separator, which text rarely has, and the marker. */
export function recordStart(mark: string): Buffer {
  return Buffer.from(`\x1e${mark} `);
}

/**
 * Splits one stream into frames, wherever the network split it. Holds back only what may be the beginning of a record.
 */
export class FrameParser {
  readonly #start: Buffer;
  #held: Buffer = Buffer.alloc(0);

  constructor(mark: string) {
    this.#start = recordStart(mark);
  }

  /** The frames that `chunk` completes, in order. */
  feed(chunk: Buffer): Frame[] {
    const frames: Frame[] = [];
    let rest = this.#held.length > 0 ? Buffer.concat([this.#held, chunk]) : chunk;
    this.#held = Buffer.alloc(0);
    while (rest.length > 0) {
      const at = rest.indexOf(this.#start);
      if (at < 0) {
        const held = partialStart(rest, this.#start);
        if (held < rest.length) frames.push({ kind: 'data', data: rest.subarray(0, rest.length - held) });
        if (held > 0) this.#held = rest.subarray(rest.length - held);
        break;
      }
      if (at > 0) frames.push({ kind: 'data', data: rest.subarray(0, at) });
      const end = rest.indexOf(0x0a, at + this.#start.length);
      if (end < 0) {
        this.#held = rest.subarray(at);
        break;
      }
      frames.push({ kind: 'record', words: rest.toString('utf8', at + this.#start.length, end).split(' ') });
      rest = rest.subarray(end + 1);
    }
    return frames;
  }
}

/** How many of the last bytes of `buffer` are the first bytes of `start`. */
function partialStart(buffer: Buffer, start: Buffer): number {
  const [first = 0] = start;
  let at = buffer.indexOf(first, Math.max(0, buffer.length - start.length + 1));
  for (; at >= 0; at = buffer.indexOf(first, at + 1)) {
    if (buffer.subarray(at).equals(start.subarray(0, buffer.length - at))) return buffer.length - at;
  }
  return 0;
}
