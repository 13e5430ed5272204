/** Timers in seconds. */

/** setTimeout's longest delay: 24 days. */
const LONGEST = 2 ** 31 - 1;

/** Calls back in so many seconds, or in the longest time that a timer can. */
export function after(seconds: number, callback: () => void): NodeJS.Timeout {
  return setTimeout(callback, Math.min(seconds * 1000, LONGEST));
}
