/** Finds many texts in one pass, however many there are: every line that a host prints is searched for every secret. */

/** Texts are told apart by so many characters first; shorter ones can't be searched for. */
const START = 4;

/** A stretch of a text, its end not included. */
export type Range = readonly [start: number, end: number];

/** A growing set of texts to look for. */
export class TextSearch {
  readonly #known = new Set<string>();
  /** The texts by their first characters. */
  readonly #byStart = new Map<string, string[]>();
  /** Whether a text may begin with three characters of this hash: most places are passed by with this look alone. */
  readonly #hashes = new Uint8Array(1 << 16);

  /** Also looks for `text`, from now on. */
  add(text: string): void {
    if (text.length < START) throw new RangeError(`a text to search for has at least ${START} characters`);
    if (this.#known.has(text)) return;
    this.#known.add(text);
    const start = text.slice(0, START);
    const alike = this.#byStart.get(start);
    if (alike) alike.push(text);
    else this.#byStart.set(start, [text]);
    this.#hashes[hashOf(text.charCodeAt(0), text.charCodeAt(1), text.charCodeAt(2))] = 1;
  }

  /** Where the texts are in `text`. Stretches that overlap are one; they are in order. */
  find(text: string): readonly Range[] {
    const found: [start: number, end: number][] = [];
    let first = text.charCodeAt(0);
    let second = text.charCodeAt(1);
    for (let at = 0; at + START <= text.length; at++) {
      const third = text.charCodeAt(at + 2);
      if (this.#hashes[hashOf(first, second, third)] === 1) {
        const end = this.#longestAt(text, at);
        const last = found.at(-1);
        if (end > at && last && at < last[1]) last[1] = Math.max(last[1], end);
        else if (end > at) found.push([at, end]);
      }
      [first, second] = [second, third];
    }
    return found;
  }

  /** The end of the longest of the texts that is at a place; the place itself where there is none. */
  #longestAt(text: string, at: number): number {
    let end = at;
    for (const known of this.#byStart.get(text.slice(at, at + START)) ?? []) {
      if (at + known.length > end && text.startsWith(known, at)) end = at + known.length;
    }
    return end;
  }
}

function hashOf(first: number, second: number, third: number): number {
  return (first * 961 + second * 31 + third) & 0xffff;
}
