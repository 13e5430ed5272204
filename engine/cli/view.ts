/**
 * Shows a run: lines as things happen, and on a terminal, below them, what each host is doing now. In a pipe there are
 * only the lines, and every half minute one for a change that takes long.
 */

import { cut, padEnd, widthOf } from '../columns.ts';
import type { RunEvent } from '../events.ts';
import { type FormatOptions, stageTitle, TextFormat } from './format.ts';
import { printable } from './printable.ts';

/** Where a run is shown: a terminal or a pipe. */
export interface Screen {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  write(text: string): unknown;
}

/** Milliseconds between two drawings of the live part. */
const REDRAW_EVERY = 250;

/** Milliseconds after which a running change is reported in a pipe, and reported again. */
const SLOW_AFTER = 30_000;

/** Milliseconds between two searches for such changes. */
const SEARCH_EVERY = 2_000;

/** What a host is doing. */
interface Activity {
  readonly what: string;
  /** A task may take long; connecting and checking may not. */
  readonly isTask: boolean;
  readonly since: number;
  /** The last line of output, if any: what a wait last saw. */
  lastLine: string;
  /** When it was last reported as slow; at first, when it began. */
  lastReport: number;
}

/** Draws a run from its events. */
export class View {
  readonly #screen: Screen;
  readonly #format: TextFormat;
  readonly #live: boolean;
  readonly #activities = new Map<string, Activity>();
  #drawnLines = 0;
  #started = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopping: 'after this step' | 'now' | undefined;

  constructor(screen: Screen, options: FormatOptions) {
    this.#screen = screen;
    this.#format = new TextFormat(options);
    this.#live = screen.isTTY === true;
  }

  /** Listens to the run's events. */
  readonly listener = (event: RunEvent): void => {
    this.#follow(event);
    const lines = this.#format.lines(event);
    if (event.type === 'run-finished') this.close();
    if (lines.length > 0) this.#draw(lines.flatMap((line) => line.split('\n')));
  };

  /** Removes the live part and stops drawing. */
  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#activities.clear();
    this.#draw([]);
  }

  #follow(event: RunEvent): void {
    switch (event.type) {
      case 'run-started':
        for (const host of event.hosts) this.#begin(host, 'connecting');
        this.#started = Date.now();
        this.#timer = setInterval(
          () => this.#draw(this.#live ? [] : this.#slowTasks()),
          this.#live ? REDRAW_EVERY : SEARCH_EVERY,
        );
        this.#timer.unref();
        break;
      case 'host-connected':
        this.#begin(event.host, 'connected');
        break;
      case 'interrupted':
        this.#stopping = event.how;
        break;
      case 'checks-started':
        for (const host of event.hosts) this.#begin(host, 'checks');
        break;
      case 'stage-started':
        for (const host of event.hosts) this.#begin(host, stageTitle(event));
        break;
      case 'task-started':
        this.#begin(event.host, event.task.name, true);
        break;
      case 'task-output': {
        const activity = this.#activities.get(event.host);
        const lastLine = printable(event.text).trim().split('\n').at(-1);
        if (activity && lastLine) activity.lastLine = lastLine;
        break;
      }
      case 'task-finished':
      case 'host-unreachable':
      case 'host-failed':
        this.#activities.delete(event.host);
        break;
      case 'verdict':
      case 'play-started':
      case 'batch-started':
      case 'phase-finished':
      case 'health-check-failed':
      case 'script':
      case 'warning':
      case 'run-finished':
        break;
      default:
        event satisfies never;
    }
  }

  #begin(host: string, what: string, isTask = false): void {
    const now = Date.now();
    this.#activities.set(host, {
      what: printable(what).replaceAll('\n', ' '),
      isTask,
      since: now,
      lastLine: '',
      lastReport: now,
    });
  }

  /** A line for each change that takes long. */
  #slowTasks(): readonly string[] {
    const now = Date.now();
    return [...this.#activities]
      .filter(([, { isTask, lastReport }]) => isTask && now - lastReport >= SLOW_AFTER)
      .map(([host, activity]) => {
        activity.lastReport = now;
        const { what, since, lastLine } = activity;
        return `    ...     ${host}  ${what} ${elapsed(now - since)}${lastLine ? `  ${lastLine}` : ''}`;
      });
  }

  /** Erases the live part and writes `lines` with the new live part below, in one write: nothing flickers. */
  #draw(lines: readonly string[]): void {
    const erase = this.#drawnLines > 0 ? `\x1b[${this.#drawnLines}A\x1b[0J` : '';
    const live = this.#liveLines();
    this.#drawnLines = live.length;
    const text = [...lines, ...live].map((line) => `${line}\n`).join('');
    if (erase + text !== '') this.#screen.write(erase + text);
  }

  #interruptHint(): string {
    if (this.#stopping === 'now') return 'stopping';
    return this.#stopping ? 'stopping; Ctrl-C again kills the running steps' : 'Ctrl-C stops after the running steps';
  }

  #liveLines(): readonly string[] {
    if (!this.#live || !this.#timer || this.#activities.size === 0) return [];
    const width = (this.#screen.columns ?? 80) - 1;
    const room = Math.max(1, (this.#screen.rows ?? 24) - 3);
    const names = Math.max(...[...this.#activities.keys()].map(widthOf));
    const now = Date.now();
    const all = [...this.#activities].map(([host, { what, since, lastLine }]) => {
      const waited = now - since < 1000 ? '' : `  ${elapsed(now - since)}`;
      return `  ${padEnd(host, names)}  ${what}${waited}${lastLine ? `  ${lastLine}` : ''}`;
    });
    const hosts = all.length > room ? [...all.slice(0, room - 1), `  ... and ${all.length - room + 1} more`] : all;
    const clock = `  ${elapsed(now - this.#started)} since the start; ${this.#interruptHint()}`;
    return ['', ...hosts, clock].map((line) => (line === '' ? line : `\x1b[2m${cut(line, width)}\x1b[22m`));
  }
}

/** `7 s`, `2:05 min`: without decimals, so that it counts calmly. */
function elapsed(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')} min`;
}
