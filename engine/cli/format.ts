/** Events as lines of text: the same on a terminal, in a pipe and in a test. */
import { styleText } from 'node:util';
import { padEnd, widthOf } from '../columns.ts';
import { ExitCode, formatPosition, formatProblem, type Problem } from '../errors.ts';
import type { HostRecap, RunEvent, TaskFailure, TaskStatus } from '../events.ts';
import { differences } from '../state.ts';
import { printable, printableEvent } from './printable.ts';

/** How much is shown, and how. */
export interface FormatOptions {
  /** 0: what changed or failed. 1: also tasks with nothing to do. 2: also output of changes. */
  readonly verbosity: number;
  readonly diff: boolean;
  readonly color: boolean;
  /** Where the run's full record is, for the last line of a run that failed. */
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

/** Whether `--diff` shows what differs: where it was, would be, or could not be changed. */
const HAS_DIFF: Readonly<Record<TaskStatus, boolean>> = {
  ok: false,
  changed: true,
  'would change': true,
  skipped: false,
  failed: true,
  ignored: true,
  'not run': false,
};

/** Turns a run's events into text, one event at a time. */
export class TextFormat {
  readonly #options: FormatOptions;
  #mode: 'apply' | 'check' = 'apply';
  #play = '';
  #stage = '';
  /** Scripts that failed and were shown, and the host they were shown for. */
  readonly #shownScripts = new Map<string, string>();

  constructor(options: FormatOptions) {
    this.#options = options;
  }

  /** The lines an event gives rise to; none for most. */
  lines(event: RunEvent): readonly string[] {
    return this.#lines(printableEvent(event));
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
        return this.#hostProblem('unreachable', event);
      case 'host-failed':
        return this.#hostProblem('failed', event);
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
          ? outputLines(event.text).map((line) => `      ${this.#style('dim', `${event.host} |`)} ${line}`)
          : [];
      case 'health-check-failed': {
        const text = `the health check of lock ${event.lock} failed after ${event.host} held it`;
        return [`${this.#style('red', 'stopped')} ${text}; no other host gets this lock in this run`];
      }
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
            : 'stopping after the running step of each host (Ctrl-C again stops it now)',
        ];
      case 'run-finished':
        return [
          '',
          ...recapLines(event.recap, this.#mode).map((line) => this.#recapStyle(line)),
          '',
          this.#lastLine(event),
        ];
      case 'host-connected':
      case 'checks-started':
      case 'batch-started':
      case 'phase-finished':
      case 'task-started':
        return [];
      default:
        return event satisfies never;
    }
  }

  /**
   * The headings of the play and the stage, where they were not shown yet. Without a line below they are not shown at
   * all.
   */
  #header(of?: { readonly role: string; readonly stage: string }): readonly string[] {
    const stage = of ? `  ${stageTitle(of)}` : '';
    const lines = [this.#play, stage === this.#stage ? '' : stage].filter((line) => line !== '');
    this.#play = '';
    this.#stage = stage;
    return lines;
  }

  #hostProblem(status: string, { host, problem }: { readonly host: string; readonly problem: Problem }) {
    const text = formatProblem({ ...problem, host: undefined });
    return [`${this.#style('red', status)} ${host}`, ...text.split('\n').map((line) => `    ${line}`)];
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
    const handler = task.pending ? ' (handler, pending from an interrupted run)' : task.handler ? ' (handler)' : '';
    const label = this.#style(STATUS_STYLES[status], padEnd(status, this.#mode === 'check' ? 12 : 7));
    return [
      ...this.#header(task),
      `    ${label} ${host}  ${task.name}${handler}${took}`,
      ...(this.#options.diff ? this.#diff(event) : []),
      ...(event.failure ? this.#failure(event.failure, event) : []),
    ];
  }

  #diff({ status, diff, found, wanted, task }: RunEvent & { type: 'task-finished' }): readonly string[] {
    // A handler has no state of its own to compare. Without a state found there is nothing to compare with.
    if (!HAS_DIFF[status] || task.handler || found === undefined) return [];
    const states = differences(found, wanted ?? {})
      // The diff of a file shows its content; who may read it is shown besides.
      .filter(
        ({ key, found }) => diff === undefined || (found !== undefined && ['mode', 'owner', 'group'].includes(key)),
      )
      .map(({ key, found, wanted }) =>
        found === undefined ? `+${key}: ${wanted}` : `-${key}: ${found}\n+${key}: ${wanted}`,
      );
    return outputLines([...states, ...(diff ? [diff] : [])].join('\n')).map((line) => {
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

  /** The script, where there is no hint that says more: once for all hosts that it failed on. */
  #script({ script, exitCode, hint }: TaskFailure, host: string): readonly string[] {
    if (script === undefined || (hint !== undefined && this.#options.verbosity === 0)) return [];
    const code = exitCode === undefined ? '' : ` (exit code ${exitCode})`;
    const shownFor = this.#shownScripts.get(script);
    if (shownFor !== undefined) return [`      ran the same script as ${shownFor}${code}`];
    this.#shownScripts.set(script, host);
    return block(`ran${code}`, firstLines(script));
  }

  #lastLine({ ms, exitCode }: RunEvent & { type: 'run-finished' }): string {
    const took = seconds(ms);
    if (exitCode === ExitCode.ok) return this.#style('dim', `done in ${took}`);
    const how = exitCode === ExitCode.interrupted ? 'stopped' : 'failed';
    return `${how} after ${took}; full record: ${this.#options.journal}`;
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
  const width = Math.max(0, ...recap.map(({ host }) => widthOf(host)));
  const lines = recap.map(({ host, ok, changed, unreachable, failed, skipped, ignored }) => {
    const counts = { ok, changed, unreachable, failed, skipped, ...(ignored > 0 ? { ignored } : {}) };
    return `${padEnd(host, width)} : ${Object.entries(counts)
      .map(([name, n]) => `${name}=${n}`)
      .join(' ')}`;
  });
  return [mode === 'check' ? 'RECAP (check mode: "changed" is what would be)' : 'RECAP', ...lines];
}

/** Lines of a failed script that are shown. The run's record has all of it, and so does --show-scripts. */
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

/** Lines of output; none where there is only white space. */
function outputLines(output: string): readonly string[] {
  const text = printable(output).trimEnd();
  return text === '' ? [] : text.split('\n');
}

/** Output under a title; nothing where there is none. */
function block(title: string, output: string): readonly string[] {
  const lines = outputLines(output).map((line) => `        ${line}`);
  return lines.length > 0 ? [`      ${title}:`, ...lines] : [];
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
