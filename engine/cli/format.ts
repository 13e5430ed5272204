/** Events as lines of text. Pure: the same lines appear on a terminal, in a pipe and in a test. */
import { styleText } from 'node:util';
import { ExitCode, formatPosition, formatProblem } from '../errors.ts';
import type { HostRecap, RunEvent, TaskFailure, TaskStatus } from '../events.ts';
import { differences } from '../state.ts';

/** How much is shown, and how. */
export interface FormatOptions {
  /** 0: what changed or failed. 1: also tasks with nothing to do. 2: also output of changes. */
  readonly verbosity: number;
  readonly diff: boolean;
  readonly color: boolean;
  /** Where the whole of the run is recorded, for the last line of one that failed. */
  readonly journal: string;
}

type Style = Parameters<typeof styleText>[0];

const STATUS_STYLES: Readonly<Record<TaskStatus, Style>> = {
  ok: 'green',
  changed: 'yellow',
  'would change': 'yellow',
  skipped: 'cyan',
  failed: 'red',
  ignored: 'magenta',
  'not run': 'dim',
};

/** Turns a run's events into text, one event at a time. */
export class TextFormat {
  readonly #options: FormatOptions;
  #mode: 'apply' | 'check' = 'apply';
  #play = '';
  #stage = '';
  /** Scripts that failed and were shown, and the host they were shown for. */
  readonly #shown = new Map<string, string>();

  constructor(options: FormatOptions) {
    this.#options = options;
  }

  /** The lines an event gives rise to; none for most. */
  lines(event: RunEvent): readonly string[] {
    return this.#lines(harmless(event));
  }

  #lines(event: RunEvent): readonly string[] {
    switch (event.type) {
      case 'run-started':
        this.#mode = event.mode;
        return [
          this.#style('bold', event.playbook) +
            this.#style(
              'dim',
              ` on ${count(event.hosts.length, 'host')}${event.mode === 'check' ? ', check mode: nothing is changed' : ''}`,
            ),
        ];
      case 'verdict':
        return this.#verdict(event);
      case 'host-unreachable':
        return [
          `${this.#style('red', 'unreachable')} ${event.host}`,
          ...indent(formatProblem({ ...event.problem, host: undefined })),
        ];
      case 'host-failed':
        return [
          `${this.#style('red', 'failed')} ${event.host}`,
          ...indent(formatProblem({ ...event.problem, host: undefined })),
        ];
      case 'warning':
        return [`${this.#style('yellow', 'warning')} ${formatProblem(event.problem)}`];
      case 'play-started':
        this.#play = `\n${this.#style('bold', event.play)} ${this.#style('dim', event.hosts.join(' '))}`;
        this.#stage = '';
        return this.#options.verbosity > 0 ? this.#header() : [];
      case 'stage-started':
        return this.#options.verbosity > 0 ? this.#header(event) : [];
      case 'task-finished':
        return this.#task(event);
      case 'task-output':
        return this.#options.verbosity > 1
          ? printable(event.text)
              .trimEnd()
              .split('\n')
              .map((line) => `      ${this.#style('dim', `${event.host} |`)} ${line}`)
          : [];
      case 'health-check-failed':
        return [
          `${this.#style('red', 'stopped')} ${event.lock} did not recover on ${event.host}; no other host is disrupted`,
        ];
      case 'script':
        return [
          this.#style(
            'bold',
            `--- script for ${event.host}: ${[event.phase, event.role, event.stage].filter(Boolean).join(' / ')}`,
          ),
          event.text,
          '',
        ];
      case 'interrupted':
        return [
          event.how === 'now'
            ? 'stopping now'
            : 'stopping after the running step of each host (Ctrl-C again to stop it now)',
        ];
      case 'run-finished':
        return [
          '',
          ...recapLines(event.recap, this.#mode).map((line) => this.#recapStyle(line)),
          '',
          this.#lastLine(event),
        ];
      default:
        return [];
    }
  }

  /** The headings that what follows is under, and that were not shown yet: a play or a stage with nothing to tell gets none. */
  #header(of?: { readonly role: string; readonly stage: string }): readonly string[] {
    const stage = of ? `  ${stageTitle(of)}` : '';
    const lines = [this.#play, stage === this.#stage ? '' : stage].filter((line) => line !== '');
    this.#play = '';
    this.#stage = stage;
    return lines;
  }

  #verdict(event: RunEvent & { type: 'verdict' }): readonly string[] {
    const { verdict, host, check, evidence, problem } = event;
    if (verdict === 'pass')
      return this.#options.verbosity > 0 ? [`  ${this.#style('green', 'pass')} ${host} ${check}: ${evidence}`] : [];
    const style = verdict === 'refuse' ? 'red' : 'yellow';
    return [
      `  ${this.#style(style, verdict)} ${host} ${check}: ${problem?.what ?? ''} (${evidence})`,
      ...(problem?.expected ? [`      allowed: ${problem.expected}`] : []),
      ...(problem?.hint ? [`      try: ${problem.hint}`] : []),
    ];
  }

  #task(event: RunEvent & { type: 'task-finished' }): readonly string[] {
    const { status, host, task, ms } = event;
    const quiet = status === 'ok' || status === 'skipped';
    if (quiet && this.#options.verbosity === 0) return [];
    const took = ms >= 1000 ? this.#style('dim', ` ${seconds(ms)}`) : '';
    const handler = task.pending ? ' (handler, owed by a run that was stopped)' : task.handler ? ' (handler)' : '';
    const name = `${task.name}${handler}`;
    return [
      ...this.#header(task),
      `    ${this.#style(STATUS_STYLES[status], status.padEnd(this.#mode === 'check' ? 12 : 7))} ${host}  ${name}${took}`,
      ...(this.#options.diff ? this.#diff(event) : []),
      ...(event.failure ? this.#failure(event.failure, event) : []),
    ];
  }

  #diff({ status, diff, found, wanted, task }: RunEvent & { type: 'task-finished' }): readonly string[] {
    // A handler has no state of its own that one would compare.
    if (status === 'ok' || status === 'skipped' || task.handler) return [];
    // A diff of the content says nothing of who may read it.
    const told = differences(found ?? {}, wanted ?? {})
      .filter(
        ({ key, found }) => diff === undefined || (found !== undefined && ['mode', 'owner', 'group'].includes(key)),
      )
      .map(({ key, found, wanted }) =>
        found === undefined ? `+${key}: ${wanted}` : `-${key}: ${found}\n+${key}: ${wanted}`,
      );
    const text = [...told, ...(diff ? [diff] : [])].join('\n');
    if (text.trim() === '') return [];
    return printable(text)
      .trimEnd()
      .split('\n')
      .map((line) => {
        const style = line.startsWith('+') ? 'green' : line.startsWith('-') ? 'red' : undefined;
        return `      ${style ? this.#style(style, line) : line}`;
      });
  }

  #failure(failure: TaskFailure, { task, host }: RunEvent & { type: 'task-finished' }): readonly string[] {
    return [
      `      ${this.#style('red', failure.what)}`,
      ...(failure.hint ? [`      try: ${failure.hint}`] : []),
      `      ${this.#style('dim', `in ${[task.play, task.role, task.stage, task.name].join(' / ')}`)}`,
      ...(task.at ? [`      ${this.#style('dim', `at ${formatPosition(task.at)}`)}`] : []),
      ...this.#script(failure, host),
      ...block('stdout', failure.stdout),
      ...block('stderr', failure.stderr),
    ];
  }

  /** The script, where nothing says more than it does: once for all hosts that it failed on. */
  #script({ script, exitCode, hint }: TaskFailure, host: string): readonly string[] {
    if (script === undefined || (hint !== undefined && this.#options.verbosity === 0)) return [];
    const code = exitCode === undefined ? '' : ` (exit code ${exitCode})`;
    const before = this.#shown.get(script);
    if (before !== undefined) return [`      ran what ${before} ran${code}`];
    this.#shown.set(script, host);
    return block(`ran${code}`, firstLines(script));
  }

  #lastLine({ ms, exitCode }: RunEvent & { type: 'run-finished' }): string {
    const took = seconds(ms);
    if (exitCode === ExitCode.ok) return this.#style('dim', `done in ${took}`);
    const how = exitCode === ExitCode.interrupted ? 'stopped' : 'failed';
    return `${how} after ${took}; all that happened: ${this.#options.journal}`;
  }

  #recapStyle(line: string): string {
    if (/ (failed|unreachable)=[1-9]/.test(line)) return this.#style('red', line);
    if (/ changed=[1-9]/.test(line)) return this.#style('yellow', line);
    return line;
  }

  #style(style: Style, text: string): string {
    return this.#options.color ? styleText(style, text, { validateStream: false }) : text;
  }
}

/** Ansible's recap: a line a host. */
export function recapLines(recap: readonly HostRecap[], mode: 'apply' | 'check'): readonly string[] {
  const width = Math.max(0, ...recap.map(({ host }) => host.length));
  const lines = recap.map(({ host, ok, changed, unreachable, failed, skipped, ignored }) => {
    const counts = { ok, changed, unreachable, failed, skipped, ...(ignored > 0 ? { ignored } : {}) };
    return `${host.padEnd(width)} : ${Object.entries(counts)
      .map(([name, n]) => `${name}=${n}`)
      .join(' ')}`;
  });
  return [mode === 'check' ? 'RECAP (check mode: "changed" is what would be)' : 'RECAP', ...lines];
}

/** Lines of a failed script that are shown; the whole is in the run's journal and under --show-scripts. */
const SCRIPT_LINES = 12;

function firstLines(script: string): string {
  const lines = script.split('\n');
  return lines.length <= SCRIPT_LINES
    ? script
    : [
        ...lines.slice(0, SCRIPT_LINES),
        `... ${lines.length - SCRIPT_LINES} more lines (--show-scripts shows all)`,
      ].join('\n');
}

/** What a host said, under a title; nothing where it said nothing. */
function block(title: string, text: string): readonly string[] {
  if (text.trim() === '') return [];
  const lines = printable(text).split('\n');
  return [`      ${title}:`, ...lines.map((line) => `        ${line}`)];
}

function indent(text: string): string[] {
  return text.split('\n').map((line) => `    ${line}`);
}

/** An event whose messages hold no control sequences: problems, evidence and failures quote what hosts say. */
function harmless(event: RunEvent): RunEvent {
  switch (event.type) {
    case 'host-unreachable':
    case 'host-failed':
    case 'warning':
      return { ...event, problem: harmlessTexts(event.problem) };
    case 'verdict':
      return { ...harmlessTexts(event), problem: event.problem && harmlessTexts(event.problem) };
    case 'task-finished':
      // Its output is made printable where it is shown: there a carriage return has a meaning.
      return { ...event, failure: event.failure && { ...event.failure, ...harmlessTexts(messageOf(event.failure)) } };
    default:
      return event;
  }
}

const messageOf = ({ what, hint }: TaskFailure): Pick<TaskFailure, 'what' | 'hint'> => ({ what, hint });

function harmlessTexts<T extends object>(data: T): T {
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, typeof value === 'string' ? withoutControls(value) : value]),
  ) as T;
}

/**
 * What a host printed, fit for a terminal: the last state of each line that a progress bar rewrites, no control sequences.
 * A host must not be able to draw over what is shown, or to type.
 */
export function printable(text: string): string {
  return withoutControls(text.replaceAll('\r\n', '\n').replaceAll(/^.*\r(?=[^\n])/gm, ''));
}

/** Without CSI and OSC sequences (ECMA-48), then without what is left of C0 and C1 but tab and line feed. */
function withoutControls(text: string): string {
  return text
    .replaceAll(/\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)/g, '')
    .replaceAll(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '');
}

/** `role: stage`, or the role alone where it has one stage of its own name. */
export function stageTitle({ role, stage }: { readonly role: string; readonly stage: string }): string {
  return stage === role ? role : `${role}: ${stage}`;
}

/** A duration for people: `3.2 s`, `2 min 5 s`. */
export function seconds(ms: number): string {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1000)} s`;
}

/** `1 host`, `2 hosts`. */
export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}
