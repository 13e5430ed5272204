/** `.heartwood/runs/<id>/events.jsonl`: the run's events, a JSON object a line. Schema: docs/events.md. */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { EventListener } from '../events.ts';

/** A run's id: when it started (UTC, sorts by time) and six letters that no other run has. */
export function newRunId(now: Date): string {
  const time = now.toISOString().replaceAll(/[-:]/g, '').slice(0, 15);
  return `${time}-${createHash('sha256').update(randomBytes(16)).digest('hex').slice(0, 6)}`;
}

/** A run's journal on disk, begun with its first event. Written line by line, so that what happened before a crash is there. */
export class Journal {
  /** Its file. */
  readonly path: string;
  #file: number | undefined;

  constructor(root: string, runId: string) {
    this.path = join(root, 'runs', runId, 'events.jsonl');
  }

  /** Hears the run's events. */
  readonly listener: EventListener = (event) => {
    if (this.#file === undefined) {
      mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
      this.#file = openSync(this.path, 'a', 0o600);
    }
    writeSync(this.#file, `${JSON.stringify(event)}\n`);
  };

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}
