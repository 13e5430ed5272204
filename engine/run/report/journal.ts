/** `.heartwood/runs/<id>/events.jsonl`: the run's events, one JSON object a line. Schema: docs/events.md. */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Problem, UserError } from '../../errors.ts';
import type { EventListener } from '../../event-stream.ts';

/** A run's id: when it started (UTC, sorts by time) and six letters that no other run has. */
export function newRunId(now: Date): string {
  const time = now.toISOString().replaceAll(/[-:]/g, '').slice(0, 15);
  return `${time}-${createHash('sha256').update(randomBytes(16)).digest('hex').slice(0, 6)}`;
}

/**
 * A run's record on disk, from its first event to `run-finished`. Each event is written at once: a crash loses none
 * before it.
 */
export class Journal {
  /** Its file. */
  readonly path: string;
  readonly #onBroken: (problem: Problem) => void;
  #file: number | undefined;
  /** Closed, or broken: what comes now is not recorded. */
  #ended = false;

  /** @param onBroken Called when no more can be written. A full disk is no reason to stop in the middle of a step. */
  constructor(root: string, runId: string, onBroken: (problem: Problem) => void) {
    this.path = join(root, 'runs', runId, 'events.jsonl');
    this.#onBroken = onBroken;
  }

  /** Listens to the run's events. @throws UserError at the first, where the file can't be made. */
  readonly listener: EventListener = (event) => {
    if (this.#ended) return;
    this.#file ??= this.#open();
    try {
      writeSync(this.#file, `${JSON.stringify(event)}\n`);
    } catch (error) {
      this.#ended = true;
      this.#onBroken({ what: `the record ${this.path} ends here: ${messageOf(error)}`, hint: 'df -h .; df -i .' });
    }
    // A session that closes late may still report something: `run-finished` stays the last line.
    if (event.type === 'run-finished') this.close();
  };

  #open(): number {
    try {
      mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
      return openSync(this.path, 'a', 0o600);
    } catch (error) {
      throw new UserError({
        what: `the run cannot be recorded below the current folder: ${messageOf(error)}`,
        hint: 'run it from a folder that you may write to',
      });
    }
  }

  /** Ends the record; also of a run that ended with an error before `run-finished`. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
    this.#ended = true;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
