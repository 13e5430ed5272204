/**
 * The view of a run: lines as they happen, and on a terminal, below them, what each host is doing right now. In a pipe there are
 * only the lines.
 */
import type { RunEvent } from '../events.ts';
import { type FormatOptions, TextFormat } from './format.ts';

/** Where the view is drawn: a terminal or a pipe. */
export interface Screen {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  write(text: string): unknown;
}

/** Milliseconds between two drawings of the live part. */
const REDRAW_EVERY = 120;

/** What a host is doing. */
interface Doing {
  readonly what: string;
  readonly since: number;
  /** The last line of output, where there is one: what a wait last saw. */
  last: string;
}

/** Draws a run from its events. */
export class View {
  readonly #screen: Screen;
  readonly #format: TextFormat;
  readonly #live: boolean;
  readonly #doing = new Map<string, Doing>();
  #drawn = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(screen: Screen, options: FormatOptions) {
    this.#screen = screen;
    this.#format = new TextFormat(options);
    this.#live = screen.isTTY === true;
  }

  /** Hears the run's events. */
  readonly listener = (event: RunEvent): void => {
    this.#follow(event);
    const lines = this.#format.lines(event);
    if (lines.length > 0) {
      this.#erase();
      this.#screen.write(`${lines.join('\n')}\n`);
      this.#draw();
    }
    if (event.type === 'run-finished') this.close();
  };

  /** Removes the live part and stops drawing. */
  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#doing.clear();
    this.#erase();
  }

  #follow(event: RunEvent): void {
    if (!this.#live) return;
    switch (event.type) {
      case 'run-started':
        for (const host of event.hosts) this.#begin(host, 'connecting');
        this.#timer = setInterval(() => {
          this.#erase();
          this.#draw();
        }, REDRAW_EVERY);
        this.#timer.unref();
        break;
      case 'checks-started':
        for (const host of event.hosts) this.#begin(host, 'checking that it may run');
        break;
      case 'stage-started':
        for (const host of event.hosts) this.#begin(host, `${event.role}: ${event.stage}`);
        break;
      case 'task-started':
        this.#begin(event.host, event.task.name);
        break;
      case 'task-output': {
        const doing = this.#doing.get(event.host);
        const last = event.text.trim().split('\n').at(-1);
        if (doing && last) doing.last = last;
        break;
      }
      case 'task-finished':
      case 'host-unreachable':
      case 'host-failed':
        this.#doing.delete(event.host);
        break;
      default:
    }
  }

  #begin(host: string, what: string): void {
    this.#doing.set(host, { what, since: Date.now(), last: '' });
  }

  #erase(): void {
    if (this.#drawn > 0) this.#screen.write(`\x1b[${this.#drawn}A\x1b[0J`);
    this.#drawn = 0;
  }

  #draw(): void {
    if (!this.#timer) return;
    const width = (this.#screen.columns ?? 80) - 1;
    const room = Math.max(1, (this.#screen.rows ?? 24) - 2);
    const all = [...this.#doing].map(([host, { what, since, last }]) => {
      const seconds = Math.floor((Date.now() - since) / 1000);
      return `  ${host}  ${what}${seconds > 0 ? ` (${seconds} s)` : ''}${last ? `  ${last}` : ''}`.slice(0, width);
    });
    const lines = all.length > room ? [...all.slice(0, room - 1), `  ... ${all.length - room + 1} more`] : all;
    if (lines.length === 0) return;
    this.#screen.write(`${lines.map((line) => `\x1b[2m${line}\x1b[22m`).join('\n')}\n`);
    this.#drawn = lines.length;
  }
}
