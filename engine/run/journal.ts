/** `.heartwood/runs/<id>/events.jsonl`: the run's events, a JSON object a line, secrets masked. Schema: docs/events.md. */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { EventListener } from '../events.ts';
import { mask } from '../secret.ts';

/** A run's id: when it started (UTC, sorts by time) and six letters that no other run has. */
export function newRunId(now: Date): string {
  const time = now.toISOString().replaceAll(/[-:]/g, '').slice(0, 15);
  return `${time}-${createHash('sha256').update(randomBytes(16)).digest('hex').slice(0, 6)}`;
}

/** A run's journal on disk. Written line by line, so that what happened before a crash is there. */
export class Journal {
  readonly directory: string;
  readonly #file: number;

  constructor(root: string, runId: string) {
    this.directory = join(root, 'runs', runId);
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    this.#file = openSync(join(this.directory, 'events.jsonl'), 'a', 0o600);
  }

  /** Hears the run's events. */
  readonly listener: EventListener = (event) => {
    writeSync(this.#file, `${mask(JSON.stringify(event))}\n`);
  };

  close(): void {
    closeSync(this.#file);
  }
}
