/**
 * Output as whole lines, however the network cuts it. A secret that comes in two pieces would not be masked, and half a
 * character can't be shown.
 */

/** Bytes that wait for the end of their line. A longer line is no text that anybody reads along. */
const LONGEST_LINE = 64 * 1024;

/** Puts the pieces of one stream together to lines. */
export class LineBuffer {
  #held: Buffer = Buffer.alloc(0);

  /** The lines that `chunk` completes, with their line breaks; empty where it completes none. */
  feed(chunk: Buffer): string {
    const all = Buffer.concat([this.#held, chunk]);
    let end = all.lastIndexOf(0x0a) + 1;
    if (all.length - end > LONGEST_LINE) end = all.length;
    this.#held = all.subarray(end);
    return all.toString('utf8', 0, end);
  }

  /** What came after the last line break. */
  rest(): string {
    const rest = this.#held.toString();
    this.#held = Buffer.alloc(0);
    return rest;
  }
}
