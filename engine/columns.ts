/**
 * Columns of a terminal. A character may take two (`東`) or none (a combining accent), and names of hosts may have them.
 */
import truncatedWidth from 'fast-string-truncated-width';

/** How many columns a text takes. */
export function widthOf(text: string): number {
  return truncatedWidth(text).width;
}

/** `text` with spaces after it, `width` columns in all. */
export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)));
}

/** As much of the start of a text as fits into `width` columns. */
export function cut(text: string, width: number): string {
  return text.slice(0, truncatedWidth(text, { limit: width }).index);
}
