/** `.heartwood/runs/<id>/events.jsonl`: the run's events, a JSON object a line. Schema: docs/events.md. */
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

/** A run's journal on disk, begun with its first event. Written line by line, so that what happened before a crash is there. */
export class Journal {
  /** Its file. */
  readonly path: string;
  readonly #onBroken: (problem: Problem) => void;
  #file: number | undefined;
  #broken = false;

  /** @param onBroken Called when it can't be written any more. A full disk does not end the run in the middle of a step. */
  constructor(root: string, runId: string, onBroken: (problem: Problem) => void) {
    this.path = join(root, 'runs', runId, 'events.jsonl');
    this.#onBroken = onBroken;
  }

  /** Hears the run's events. @throws UserError from the first, when it cannot be begun. */
  readonly listener: EventListener = (event) => {
    if (this.#broken) return;
    this.#file ??= this.#begin();
    try {
      writeSync(this.#file, `${JSON.stringify(event)}\n`);
    } catch (error) {
      this.#broken = true;
      this.#onBroken({ what: `the record ${this.path} ends here: ${messageOf(error)}`, hint: 'df -h .; df -i .' });
    }
  };

  #begin(): number {
    try {
      mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
      return openSync(this.path, 'a', 0o600);
    } catch (error) {
      throw new UserError({
        what: `the run cannot be recorded below the folder you are in: ${messageOf(error)}`,
        hint: 'run it from a folder that you may write to',
      });
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
