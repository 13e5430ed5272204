/** Segments: how the changes of a host are cut into scripts. Pure. */
import type { PeerSource } from '../../resource.ts';
import type { Decision } from './check-phase.ts';
import { isPrepared, type PreparedDecision } from './prepare-changes.ts';

/** Bytes that may be uploaded before the first of their changes: what a host has room for beside what they replace. */
const UPLOADED_TOGETHER = 256e6;

/** Changes that run as one script: on one host's session, under one lock or none. */
export interface Segment {
  readonly target: string;
  readonly lock: string | undefined;
  readonly decisions: readonly PreparedDecision[];
}

/**
 * The change phase of one host, empty when nothing differs. These begin a segment of their own:
 *   - a task on another host, or under another lock, than the one before,
 *   - a change with an upload; uploads that follow one another are sent together,
 *   - a change that may come from a peer,
 *   - what follows a change that is confirmed over a new connection.
 */
export function segmentsOf(decisions: readonly Decision[]): readonly Segment[] {
  const segments: { target: string; lock: string | undefined; decisions: PreparedDecision[] }[] = [];
  for (const decision of decisions.filter(isPrepared)) {
    const { target, task } = decision.instance;
    const lock = task.options.disrupts?.lock;
    const last = segments.at(-1);
    if (last && last.target === target && last.lock === lock && mayFollow(decision, last.decisions)) {
      last.decisions.push(decision);
    } else segments.push({ target, lock, decisions: [decision] });
  }
  return segments;
}

function mayFollow(decision: PreparedDecision, before: readonly PreparedDecision[]): boolean {
  const { action } = decision.instance.task;
  if (hasUpload(decision)) return mayUploadTogether([...before, decision]);
  if (decision.what === 'change' && action.peerSource) return false;
  const previous = before.at(-1)?.instance.task.action;
  return previous?.confirm === undefined || action.confirm !== undefined;
}

/** Is content sent before the change? Such a change is made without another probe before it. */
export function hasUpload({ what, instance }: PreparedDecision): boolean {
  return what === 'change' && instance.task.action.upload !== undefined;
}

/** To different places, none of them free to fail, and not too much. */
function mayUploadTogether(decisions: readonly PreparedDecision[]): boolean {
  const actions = decisions.map(({ instance }) => instance.task.action);
  return (
    decisions.every((decision) => hasUpload(decision) && !decision.instance.task.options.ignoreErrors) &&
    new Set(actions.map(({ id }) => id)).size === decisions.length &&
    actions.reduce((sum, { uploadSize = 0 }) => sum + uploadSize, 0) <= UPLOADED_TOGETHER
  );
}

/**
 * Where the segment's first change may get its content from, when it is to fetch it. Nobody waits for that under a
 * lock.
 */
export function peerSourceOf({ lock, decisions: [first] }: Segment): PeerSource | undefined {
  return first?.what === 'change' && lock === undefined ? first.instance.task.action.peerSource : undefined;
}

/**
 * Has a segment anything to do, after those before it? Handlers that nobody notified are left out, so that no host
 * waits for a lock in vain.
 */
export function isNeeded({ decisions }: Segment, notified: ReadonlySet<string>): boolean {
  return decisions.some(
    ({ instance, what }) =>
      instance.pendingName === undefined || what === 'change' || notified.has(instance.pendingName),
  );
}
