/**
 * A long batch on its way: gzip and base64 make a sixth of most of them, which spares round trips, since TCP sends the first 14 kB in one
 * and must hear of them before it sends more (RFC 6928). A shell that reads its stdin byte by byte (bash) is spared the most.
 */
import { gzipSync } from 'node:zlib';
import { quote } from '../script.ts';

/** Bytes from which on a batch is packed: what fits into TCP's first window does not arrive sooner. */
const COMPRESS_FROM = 12_000;

/** Bytes up to which it is: the host's shell holds all of it at once then, and a copy for every step. */
const COMPRESS_UP_TO = 1_000_000;

/** What a batch ends with, so that the host sees that it has all of it. */
const END = ': hw_end';

/** The function that `prelude` defines: evaluates what is packed, or prints a record `P` where the host can't unpack it. No step sees the others' text. */
export const DECOMPRESS_FUNCTION = `
hw_decompress() {
  set -- "$(printf %s "$1" | base64 -d 2>/dev/null | gzip -dc 2>/dev/null)"
  case $1 in
    *'${END}') eval "$1" ;;
    *) printf '\\036%s P\\n' "$hw_mark" || exit 141 ;;
  esac
}
`;

/** The batch as one line that unpacks itself; undefined where that doesn't pay: too short, too long, or archives and keys in it. */
export function compressSteps(batch: string): string | undefined {
  if (batch.length < COMPRESS_FROM || batch.length > COMPRESS_UP_TO) return undefined;
  const text = `hw_decompress ${quote(gzipSync(`${batch}${END}\n`).toString('base64'))}\n`;
  return text.length < batch.length / 2 ? text : undefined;
}
