/** Text of hosts, fit for a terminal. A host must not be able to draw over what is shown, or to type. */
import type { RunEvent } from '../events.ts';

/**
 * What a program printed: control sequences are gone, and of a line that a progress bar rewrites the last state is
 * left.
 */
export function printable(output: string): string {
  return withoutControls(output.replaceAll('\r\n', '\n').replaceAll(/^.*\r(?=[^\n])/gm, ''));
}

/**
 * Fields of events that are output of programs: whoever shows them calls {@link printable}, since a carriage return
 * means something there.
 */
const OUTPUT = new Set(['stdout', 'stderr']);

/**
 * An event without control sequences in any of its texts but output. Problems, evidence and states quote what hosts
 * say.
 */
export function printableEvent(event: RunEvent): RunEvent {
  return event.type === 'task-output' ? event : cleaned(event);
}

function cleaned<T>(data: T): T {
  if (typeof data === 'string') return withoutControls(data) as T;
  if (Array.isArray(data)) return data.map(cleaned) as T;
  if (typeof data !== 'object' || data === null) return data;
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, OUTPUT.has(key) ? value : cleaned(value)]),
  ) as T;
}

/** Without CSI and OSC sequences (ECMA-48), then without any C0 and C1 characters but tab and line feed. */
function withoutControls(text: string): string {
  return text
    .replaceAll(/\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)/g, '')
    .replaceAll(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '');
}
