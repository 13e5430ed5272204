/**
 * Long steps on their way: gzip and base64 make a sixth of most of them. That spares round trips: TCP sends the first
 * 14 kB in one and waits for the answer before it sends more (RFC 6928). A shell that reads its stdin byte by byte
 * (bash) gains the most.
 */
import { gzipSync } from 'node:zlib';
import { quote } from '../script.ts';

/** Bytes from which on steps are compressed: what fits into TCP's first window does not arrive sooner. */
const COMPRESS_FROM = 12_000;

/** Bytes up to which they are: the host's shell holds all of it at once, and a copy for every step. */
const COMPRESS_UP_TO = 1_000_000;

/** The last line, by which the host sees that it has all. */
const END = ': hw_end';

/**
 * A function of the remote runtime: evaluates compressed steps, or prints a record `P` where the host cannot decompress
 * them. No step sees the text of the others.
 */
export const DECOMPRESS_FUNCTION = `
hw_decompress() {
  set -- "$(printf %s "$1" | base64 -d 2>/dev/null | gzip -dc 2>/dev/null)"
  case $1 in
    *'${END}') eval "$1" ;;
    *) printf '\\036%s P\\n' "$hw_mark" || exit 141 ;;
  esac
}
`;

/**
 * Encoded steps as one line that decompresses itself; undefined where that does not pay: too short, too long, or full
 * of archives and keys.
 */
export function compressSteps(steps: string): string | undefined {
  if (steps.length < COMPRESS_FROM || steps.length > COMPRESS_UP_TO) return undefined;
  const text = `hw_decompress ${quote(gzipSync(`${steps}${END}\n`).toString('base64'))}\n`;
  return text.length < steps.length / 2 ? text : undefined;
}
