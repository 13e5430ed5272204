/**
 * What happens in a run, as one stream of events. `.heartwood/runs/<id>/events.jsonl` is this stream, a JSON object a line;
 * live view, recap, JSON and JUnit are made from it and from nothing else. No event holds a secret. Schema: docs/events.md.
 */
import type { ExitCode, Position, Problem } from './errors.ts';
import { maskData } from './secret.ts';
import type { State } from './state.ts';
import type { Cost } from './traffic.ts';

/** What became of a task on a host. */
export type TaskStatus =
  /** The state was as wanted. */
  | 'ok'
  /** It was changed, and looked at again. */
  | 'changed'
  /** Check mode: it would be changed. */
  | 'would change'
  /** `when`, tags inside the role, `runOnce` on another host, or a handler nobody notified. */
  | 'skipped'
  | 'failed'
  /** Failed, and `ignoreErrors` says to go on. */
  | 'ignored'
  /** Not reached: an earlier task of the host failed, the run was stopped, or a disrupted thing did not recover elsewhere. */
  | 'not run';

/** Which task an event is about. */
export interface TaskRef {
  readonly play: string;
  readonly role: string;
  readonly stage: string;
  readonly name: string;
  /** Position in its stage, from 0; handlers follow the tasks. With play, role and stage it names the task in a run. */
  readonly index: number;
  readonly handler: boolean;
  /** Of a handler: owed by a run that was cut, not by a task of this one. */
  readonly pending?: true;
  /** `file /etc/hosts`; for verdicts `check clock`. */
  readonly resource: string;
  /** The line of the role that made it; only of tasks that failed. */
  readonly at?: Position | undefined;
}

/**
 * The phases a host's time goes to. `connect`: until its identity is known; `authenticate`: until it has let us in; `become`:
 * until there is a shell; `wait`: until another host has, and can give, what this one is to get from it; `confirm`: a new
 * connection that proves the way in to be open still; `give`: what it gives to another, beside whatever else it is at.
 */
export type Phase =
  | 'connect'
  | 'authenticate'
  | 'become'
  | 'checks'
  | 'facts'
  | 'check'
  | 'diff'
  | 'wait'
  | 'change'
  | 'confirm'
  | 'peer-upload'
  | 'close';

/** Recap of one host: Ansible's line. */
export interface HostRecap {
  readonly host: string;
  readonly ok: number;
  readonly changed: number;
  readonly unreachable: number;
  readonly failed: number;
  readonly skipped: number;
  readonly ignored: number;
}

/** What came before a run began, in milliseconds. */
export interface StartUp {
  /** From the start of the process until its command line was read: Node, tsx, the playbook's modules. */
  readonly start: number;
  /** Modules of a run, the inventory and its variables, and passwords that were asked for. */
  readonly inventory: number;
  /** Was it run from its compiled file? */
  readonly compiled: boolean;
}

/** Everything that can happen. `time` is added when it is emitted. */
export type RunEventBody =
  | {
      readonly type: 'run-started';
      readonly run: string;
      readonly playbook: string;
      /** The command line. */
      readonly argv: readonly string[];
      readonly mode: 'apply' | 'check';
      readonly diff: boolean;
      readonly hosts: readonly string[];
      readonly version: string;
      readonly startUp: StartUp;
    }
  | {
      readonly type: 'host-connected';
      readonly host: string;
      /** All in all; its phases have events of their own. */
      readonly ms: number;
    }
  | { readonly type: 'host-unreachable'; readonly host: string; readonly problem: Problem }
  | { readonly type: 'checks-started'; readonly hosts: readonly string[] }
  | {
      readonly type: 'verdict';
      readonly host: string;
      readonly role: string;
      readonly check: string;
      readonly verdict: 'pass' | 'warn' | 'refuse' | 'waived';
      readonly evidence: string;
      readonly problem: Problem | undefined;
    }
  | { readonly type: 'play-started'; readonly play: string; readonly hosts: readonly string[] }
  | { readonly type: 'batch-started'; readonly play: string; readonly hosts: readonly string[] }
  | {
      readonly type: 'stage-started';
      readonly play: string;
      readonly role: string;
      readonly stage: string;
      readonly hosts: readonly string[];
    }
  | {
      readonly type: 'phase-finished';
      readonly host: string;
      readonly phase: Phase;
      /** The stage it was for; undefined for checks, for what was asked ahead, and for connecting and parting. */
      readonly role: string | undefined;
      readonly stage: string | undefined;
      /**
       * Bytes before ssh encrypts them. But of `connect`, `authenticate`, `become`, `confirm` and `close` all that crosses the
       * connection, and a round trip each time that the host answers; nothing for this machine itself.
       */
      readonly cost: Cost;
    }
  | { readonly type: 'task-started'; readonly host: string; readonly task: TaskRef }
  | {
      readonly type: 'task-output';
      readonly host: string;
      readonly task: TaskRef;
      readonly stream: 'stdout' | 'stderr';
      readonly text: string;
    }
  | {
      readonly type: 'task-finished';
      readonly host: string;
      readonly task: TaskRef;
      readonly status: TaskStatus;
      /** What its change took on the host; where nothing was changed, the look at it. */
      readonly ms: number;
      /** What the probe printed before; undefined where it did not run. */
      readonly found: State | undefined;
      /** What was wanted; undefined for verdicts and skipped tasks. */
      readonly wanted: State | undefined;
      /** With `--diff`: text for people. */
      readonly diff: string | undefined;
      readonly failure: TaskFailure | undefined;
    }
  | {
      /** The health check of a lock failed after one host held it; no other host gets that lock in this run. */
      readonly type: 'health-check-failed';
      readonly lock: string;
      readonly host: string;
    }
  | {
      /** With `--show-scripts`: a script before it is sent. */
      readonly type: 'script';
      readonly host: string;
      readonly phase: Phase;
      readonly role: string | undefined;
      readonly stage: string | undefined;
      readonly text: string;
    }
  | { readonly type: 'host-failed'; readonly host: string; readonly problem: Problem }
  | { readonly type: 'warning'; readonly problem: Problem }
  | { readonly type: 'interrupted'; readonly how: 'after this step' | 'now' }
  | {
      readonly type: 'run-finished';
      readonly ms: number;
      readonly recap: readonly HostRecap[];
      readonly exitCode: ExitCode;
      /** Why it ended before its time, where that was no task's doing: a mistake in a role. */
      readonly problems: readonly Problem[];
    };

/** Why a task failed: enough to act on without running anything again. */
export interface TaskFailure {
  readonly what: string;
  readonly hint: string | undefined;
  /** The script that ran; undefined when it failed before anything ran. */
  readonly script: string | undefined;
  readonly exitCode: number | undefined;
  /** The last lines. */
  readonly stderr: string;
  readonly stdout: string;
}

/** An event: a body and when it happened (ISO 8601, UTC, milliseconds). */
export type RunEvent = RunEventBody & { readonly time: string };

/** Hears events. Must not throw, but from the first: nothing has been done by then. */
export type EventListener = (event: RunEvent) => void;

/** The one place events go through on their way to every listener. */
export class EventStream {
  readonly #listeners: EventListener[] = [];

  /** Adds a listener; events from now on reach it, in order. */
  subscribe(listener: EventListener): void {
    this.#listeners.push(listener);
  }

  /**
   * Stamps an event, masks secrets in it and hands it to every listener. Masked value by value: a secret that happens to be
   * a number, or a word of the format, would otherwise break the JSON that is made of the event.
   */
  emit(body: RunEventBody): void {
    const event: RunEvent = { time: new Date().toISOString(), ...masked(body) };
    for (const listener of this.#listeners) listener(event);
  }
}

/** Words that events are told apart by: no host says them, so that none of them is a secret that got there. */
const FIXED = ['type', 'status', 'mode', 'verdict', 'phase', 'stream', 'how'];

function masked(body: RunEventBody): RunEventBody {
  const entries = Object.entries(body).map(([key, value]) => [key, FIXED.includes(key) ? value : maskData(value)]);
  return Object.fromEntries(entries) as RunEventBody;
}
