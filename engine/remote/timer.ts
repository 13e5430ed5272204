/** Timers in seconds. */

/** setTimeout's longest delay: 24 days. */
const LONGEST = 2 ** 31 - 1;

/** setTimeout in seconds; what is longer than its longest delay is shortened to that. */
export function after(seconds: number, callback: () => void): NodeJS.Timeout {
  return setTimeout(callback, Math.min(seconds * 1000, LONGEST));
}
