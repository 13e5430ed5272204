/**
 * The three outcomes of a check made from facts, and who waives one. A role's `checks` return them; a stage may hold
 * them as tasks too.
 */
import type { HostView } from './host-view.ts';
import type { Verdict } from './task.ts';

/** What is wrong, for {@link warn} and {@link refuse}. */
export interface Finding {
  /** What was seen: `3.2 GB of memory`. */
  readonly evidence: string;
  /** What is wrong with that, in one sentence without a full stop. */
  readonly what: string;
  /** What would be right. */
  readonly expected?: string;
  /** What to do about it. */
  readonly hint?: string;
  /** Of a refusal: it can't be waived, since the role itself would refuse later, with part of its work done. */
  readonly final?: boolean;
}

/** The check is satisfied, by this evidence. */
export function pass(id: string, evidence: string): Verdict {
  return { kind: 'verdict', id, verdict: 'pass', evidence };
}

/** Shown, and the run goes on. */
export function warn(id: string, finding: Finding): Verdict {
  return { ...finding, kind: 'verdict', id, verdict: 'warn' };
}

/** The run stops before it changes anything, unless the check is waived by its name, where that can be. */
export function refuse(id: string, finding: Finding): Verdict {
  return { ...finding, kind: 'verdict', id, verdict: 'refuse' };
}

/**
 * Is a check waived by its name? The variable `waive` is a list, or words with commas between (`-e waive=clock,disk`).
 */
export function isWaived(host: HostView, id: string): boolean {
  const waive = host.var('waive') ?? [];
  const words = Array.isArray(waive) ? waive : String(waive).split(',');
  return words.some((word) => String(word).trim() === id);
}
