/**
 * Everything that happens in a run is an event. The record on disk, the live view, the recap, JSON and JUnit are made
 * from events and from nothing else. event-stream.ts masks secrets in them; docs/events.md has the schema.
 */
import type { ExitCode, Position, Problem } from './errors.ts';
import type { State } from './state.ts';
import type { Cost } from './traffic.ts';

/** What became of a task on a host. */
export type TaskStatus =
  /** The state was as wanted. */
  | 'ok'
  /** It was changed, and its probe or exit code says that this worked. */
  | 'changed'
  /** Check mode: it would be changed. */
  | 'would change'
  /** `when`, tags inside the role, `runOnce` on another host, or a handler nobody notified. */
  | 'skipped'
  | 'failed'
  /** Failed, and `ignoreErrors` says to go on. */
  | 'ignored'
  /**
   * Not reached: an earlier task of the host failed, the run was stopped, or a lock's health check failed on another
   * host.
   */
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
  /** Of a handler: an interrupted run left it pending; no task of this run notified it. */
  readonly pending?: true;
  /** `file /etc/hosts`; for verdicts `check clock`. */
  readonly resource: string;
  /** The line of the role that made it; only of tasks that failed. */
  readonly at?: Position | undefined;
}

/**
 * What a host's time goes to.
 * - `connect`: until the host's key is checked; `authenticate`: until it has let us in; `become`: until there is a
 *   shell.
 * - `checks`: the roles' checks before anything is changed. `facts`, `check`, `diff`, `change`: the steps of a stage.
 * - `wait`: until another host can send what this one needs; `peer-upload`: sending it, beside whatever else that host
 *   does.
 * - `confirm`: a new connection, to prove that the host can still be reached. `close`: ending the session.
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

/** How long it took until the run began, in milliseconds. */
export interface StartUp {
  /** From the start of the process until its command line was read: Node, tsx, the playbook's modules. */
  readonly start: number;
  /** Loading the run's modules, the inventory and its variables, and asking for passwords. */
  readonly inventory: number;
  /** Did it run from its compiled file? */
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
      /** The whole time; each phase of it has an event of its own. */
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
      /**
       * The stage it was for; undefined for checks, for what is asked ahead of the first stage, and for connecting and
       * closing.
       */
      readonly role: string | undefined;
      readonly stage: string | undefined;
      /**
       * Bytes before ssh encrypts them. For `connect`, `authenticate`, `become`, `confirm` and `close`: all bytes on
       * the connection, and a round trip for each answer of the host. Nothing for this machine itself.
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
      /** How long its change took on the host; where nothing was changed, its probe. */
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
      /** Why it ended early, where the reason is not a task or a host: a mistake in a role. */
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
