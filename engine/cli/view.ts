/**
 * The view of a run: lines as they happen, and on a terminal, below them, what each host is doing right now. In a pipe there are
 * only the lines, and now and then one of a change that takes long.
 */
import type { RunEvent } from '../events.ts';
import { type FormatOptions, printable, stageTitle, TextFormat } from './format.ts';

/** Where the view is drawn: a terminal or a pipe. */
export interface Screen {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  write(text: string): unknown;
}

/** Milliseconds between two drawings of the live part. */
const REDRAW_EVERY = 250;

/** Milliseconds after which a change is told to take long, where there is no live part; and again after as many. */
const LONG = 30_000;

/** Milliseconds between two looks for such changes. */
const LOOK_EVERY = 2_000;

/** What a host is doing. */
interface Doing {
  readonly what: string;
  /** Is it a task, which may take long, or the way there? */
  readonly isTask: boolean;
  readonly since: number;
  /** The last line of output, where there is one: what a wait last saw. */
  last: string;
  /** When it was last told to take long; at first, when it began. */
  told: number;
}

/** Draws a run from its events. */
export class View {
  readonly #screen: Screen;
  readonly #format: TextFormat;
  readonly #live: boolean;
  readonly #doing = new Map<string, Doing>();
  #drawn = 0;
  #started = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopping: 'after this step' | 'now' | undefined;

  constructor(screen: Screen, options: FormatOptions) {
    this.#screen = screen;
    this.#format = new TextFormat(options);
    this.#live = screen.isTTY === true;
  }

  /** Hears the run's events. */
  readonly listener = (event: RunEvent): void => {
    this.#follow(event);
    const lines = this.#format.lines(event);
    if (event.type === 'run-finished') this.close();
    if (lines.length > 0) this.#show(lines.flatMap((line) => line.split('\n')));
  };

  /** Removes the live part and stops drawing. */
  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#doing.clear();
    this.#show([]);
  }

  #follow(event: RunEvent): void {
    switch (event.type) {
      case 'run-started':
        for (const host of event.hosts) this.#begin(host, 'connecting');
        this.#started = Date.now();
        this.#timer = setInterval(
          () => this.#show(this.#live ? [] : this.#longLines()),
          this.#live ? REDRAW_EVERY : LOOK_EVERY,
        );
        this.#timer.unref();
        break;
      case 'host-connected':
        this.#begin(event.host, 'answering');
        break;
      case 'interrupted':
        this.#stopping = event.how;
        break;
      case 'checks-started':
        for (const host of event.hosts) this.#begin(host, 'checking that it may run');
        break;
      case 'stage-started':
        for (const host of event.hosts) this.#begin(host, stageTitle(event));
        break;
      case 'task-started':
        this.#begin(event.host, event.task.name, true);
        break;
      case 'task-output': {
        const doing = this.#doing.get(event.host);
        const last = printable(event.text).trim().split('\n').at(-1);
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

  #begin(host: string, what: string, isTask = false): void {
    const now = Date.now();
    this.#doing.set(host, { what, isTask, since: now, last: '', told: now });
  }

  /** The changes that take long. */
  #longLines(): readonly string[] {
    const now = Date.now();
    return [...this.#doing]
      .filter(([, { isTask, told }]) => isTask && now - told >= LONG)
      .map(([host, doing]) => {
        doing.told = now;
        return `    ...     ${host}  ${doing.what} ${elapsed(now - doing.since)}${doing.last ? `  ${doing.last}` : ''}`;
      });
  }

  /** Takes the live part away and writes what is to stay, in one go with the new live part, so that nothing flickers. */
  #show(lines: readonly string[]): void {
    const erase = this.#drawn > 0 ? `\x1b[${this.#drawn}A\x1b[0J` : '';
    const live = this.#liveLines();
    this.#drawn = live.length;
    const text = [...lines, ...live].map((line) => `${line}\n`).join('');
    if (erase + text !== '') this.#screen.write(erase + text);
  }

  #wayOut(): string {
    if (this.#stopping === 'now') return 'stopping';
    return this.#stopping ? 'stopping; Ctrl-C again kills the running steps' : 'Ctrl-C stops after the running steps';
  }

  #liveLines(): readonly string[] {
    if (!this.#live || !this.#timer || this.#doing.size === 0) return [];
    const width = (this.#screen.columns ?? 80) - 1;
    const room = Math.max(1, (this.#screen.rows ?? 24) - 3);
    const names = Math.max(...[...this.#doing.keys()].map((host) => host.length));
    const now = Date.now();
    const all = [...this.#doing].map(([host, { what, since, last }]) => {
      const waited = now - since < 1000 ? '' : `  ${elapsed(now - since)}`;
      return `  ${host.padEnd(names)}  ${what}${waited}${last ? `  ${last}` : ''}`;
    });
    const shown = all.length > room ? [...all.slice(0, room - 1), `  ... and ${all.length - room + 1} more`] : all;
    const clock = `  ${elapsed(now - this.#started)} since the start; ${this.#wayOut()}`;
    return ['', ...shown, clock].map((line) => (line === '' ? line : `\x1b[2m${line.slice(0, width)}\x1b[22m`));
  }
}

/** `7 s`, `2:05 min`: without decimals, so that it ticks and does not flicker. */
function elapsed(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')} min`;
}
