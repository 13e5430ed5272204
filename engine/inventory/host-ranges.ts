/**
 * Host names as inventories write them: ranges (`node-[01:10:2]`, `rack-[a:c]`) and a port (`node:2222`, `[::1]:22`).
 */

/** The hosts that one entry of an inventory names. */
export interface HostNames {
  readonly names: readonly string[];
  /** The port after the last colon. */
  readonly port: number | undefined;
}

/** A pattern for more hosts than this is a mistake: `[1:1000000000]`. */
const MOST_NAMES = 100_000;

/**
 * The names and the port of one host pattern.
 * @throws Error on a malformed pattern.
 */
export function expandHosts(pattern: string): HostNames {
  const [, bracketed, port] =
    /^\[(.+)\]:(\d+)$/.exec(pattern) ?? /^((?:[^:[\]]|\[[^\]]*\])*):(\d+)$/.exec(pattern) ?? [];
  const host = bracketed ?? pattern;
  if (host === '' || (port === undefined && host.endsWith(':') && !host.endsWith('::'))) {
    throw new Error(`"${pattern}" is not a host name; a port must follow its colon`);
  }
  const names = expandRanges(host);
  return { names, port: port === undefined ? undefined : Number(port) };
}

/**
 * Every name of a pattern with `[from:to]` or `[from:to:step]`; the last range changes fastest.
 * @throws Error on a malformed range.
 */
export function expandRanges(pattern: string): string[] {
  const [, head, range, tail] = /^([^[]*)\[([^\]]*)\](.*)$/.exec(pattern) ?? [];
  if (head === undefined || range === undefined || tail === undefined) {
    if (/[[\]]/.test(pattern)) throw new Error(`"${pattern}" has an unmatched bracket`);
    return [pattern];
  }
  const tails = expandRanges(tail);
  const values = rangeValues(range);
  if (values.length * tails.length > MOST_NAMES) throw new Error(`"${pattern}" names more than ${MOST_NAMES} hosts`);
  return values.flatMap((value) => tails.map((end) => `${head}${value}${end}`));
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

function rangeValues(range: string): string[] {
  const [from = '', to = '', stepText = '1', ...more] = range.split(':');
  const wrong = (why: string): Error => new Error(`the range [${range}] ${why}`);
  if (!range.includes(':') || more.length > 0) throw wrong('is not [from:to] or [from:to:step]');
  if (to === '') throw wrong('has no end');
  if (!/^\d+$/.test(stepText) || Number(stepText) === 0) throw wrong('has a step that is not 1 or more');
  const step = Number(stepText);
  if (/^[a-zA-Z]$/.test(from) && /^[a-zA-Z]$/.test(to)) {
    const [first, last] = [LETTERS.indexOf(from), LETTERS.indexOf(to)];
    if (first > last) throw wrong('ends before it begins');
    return [...LETTERS.slice(first, last + 1)].filter((_, i) => i % step === 0);
  }
  if (!/^\d*$/.test(from) || !/^\d+$/.test(to)) throw wrong('has ends that are not both numbers or both letters');
  const width = from.startsWith('0') && from.length > 1 ? from.length : 0;
  if (width > 0 && to.length !== width) throw wrong('begins with a zero, so both ends need the same number of digits');
  const [first, last] = [Number(from), Number(to)];
  if (first > last) throw wrong('ends before it begins');
  if ((last - first) / step > MOST_NAMES) throw wrong(`names more than ${MOST_NAMES} hosts`);
  const values: string[] = [];
  for (let value = first; value <= last; value += step) values.push(String(value).padStart(width, '0'));
  return values;
}
