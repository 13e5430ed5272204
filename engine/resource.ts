/**
 * A resource is three things: a probe that prints the state found, the state wanted, and the change between them. A
 * resource knows no host. Each kind has a file in `engine/resources/` and passes the contract suite (test/contract).
 */
import type { Readable } from 'node:stream';
import type { Script, ShellFunction } from './script.ts';
import type { State } from './state.ts';

/** Something on a host that can be probed and brought into a wanted state. */
export type Resource = ResourceBase & Undoable;

/** A resource without what it says about undo. */
export interface ResourceBase {
  /** Its kind: `file`, `apt`, `systemd`. */
  readonly kind: string;
  /** Which one it is, for messages: a path, a package, a unit. `kind` and `id` together name one thing on a host. */
  readonly id: string;
  /**
   * Reads only, prints `key=value` lines, exits with 0. Works where prerequisites are absent: it prints what it can
   * say.
   */
  readonly probe: Script;
  /** What the probe reads in the same way as other probes: read once for all probes of a batch, before they run. */
  readonly sharedProbe?: SharedProbe | undefined;
  /** The keys that must hold after the change. The probe prints every one of them. */
  readonly wanted: State;
  /** The change, given what the probe found. Runs only where found and wanted differ. Exit code 0: done. */
  change(found: State): Script;
  /** How it is known that the change worked. Default: `probe`. */
  readonly verify?: Verification | undefined;
  /** How long the change may take, in seconds. Default: {@link CHANGE_TIMEOUT}. */
  readonly timeout?: number | undefined;
  readonly detail?: DiffDetail | undefined;
  /**
   * True: the change only waits or reads. A task that ran it is `ok`, never `changed`; check mode says that it would
   * wait.
   */
  readonly readOnly?: boolean | undefined;
  /** For a change that could cut the connection it comes over. */
  readonly confirm?: Confirmation | undefined;
  /** For a change that is best made together with others of its kind right after it. Given what the probe found. */
  mergeable?(found: State): MergeableChange | undefined;
  /**
   * For a change with content too big for a script. The content is sent before the change, when the probe found a
   * difference; uploads of successive tasks are sent together. An upload that fails fails the task. The change then
   * only finishes the work, and reads for itself what is there. Undefined: nothing has to be sent any more.
   */
  upload?(found: State): Upload | undefined;
  /** The most bytes that an upload may have. */
  readonly uploadSize?: number | undefined;
  /** For a change that fetches what other hosts need too: one host fetches it, and the others get it from that one. */
  readonly peerSource?: PeerSource | undefined;
  /**
   * The cause of a failed change and what to try, from its exit code and the end of its stderr and stdout. Undefined:
   * nothing to add.
   */
  explain?(failure: ChangeFailure): Explanation | undefined;
}

/** How a change is taken back. A resource says exactly one of the three. */
export type Undoable =
  | {
      /**
       * Takes the change back, given what the probe found before it: what the resource is about is then byte for byte
       * what it was. May run twice. Where the resource has `confirm`, this has to be confirmed like the change.
       */
      undo(found: State): Script;
      readonly keeps?: never;
      readonly noUndo?: never;
    }
  | {
      /**
       * Paths whose content the change replaces. Undo needs a copy of them made before the change; nothing makes one
       * yet.
       */
      readonly keeps: readonly string[];
      readonly undo?: never;
      readonly noUndo?: never;
    }
  | {
      /** Why the change can't be taken back, in words: `something may be using the module by then`. */
      readonly noUndo: string;
      readonly undo?: never;
      readonly keeps?: never;
    };

/** How it is known that a change worked. */
export type Verification =
  /** The probe runs again and must print what is wanted. */
  | 'probe'
  /** By the exit code of the change: a command has no state to probe. */
  | 'exit code';

/** A detailed diff, asked for in a round trip of its own and only where `--diff` is on and the state differs. */
export interface DiffDetail {
  /** Prints what {@link render} needs: a file's present content, a server-side dry run. Reads only. */
  readonly script: Script;
  /** Text for people, usually a unified diff, from what the script printed. Empty: nothing to show. */
  render(output: string): string | Promise<string>;
}

/** A function that reads something for many probes at once. */
export interface SharedProbe {
  /**
   * Reads only. Prints what it found as assignments to shell variables, and one assignment that lists what it was asked
   * for. A probe may use them where `$hw_probed` has the function's name (it ran in this batch, and nothing was changed
   * since) and its own arguments are in the list.
   */
  readonly fn: ShellFunction;
  /** The arguments that this probe adds. Equal arguments of two probes are passed once. */
  readonly args: readonly string[];
}

/**
 * A change that can be made together with others: packages in one transaction. Where that fails, each is made alone.
 */
export interface MergeableChange<Part = unknown> {
  /** Changes with the same key can be made together. Their parts have one type. */
  readonly key: string;
  /** What this change adds to the others. */
  readonly part: Part;
  /** The change, given the parts of all. */
  change(parts: readonly Part[]): Script;
}

/** Content on its way to a host, as bytes on a script's stdin. */
export interface Upload {
  /** Takes the content. It runs in a shell of its own, as an argument of that shell, so it must not hold a secret. */
  readonly script: Script;
  /** The content, read while it is sent. */
  content(): Readable;
  /** Compressing it for the network is worth the time, and the host has gzip. */
  readonly compressible?: boolean;
}

/**
 * Content that one host can pass on to another, through the controller: hosts need not reach each other. The change
 * verifies what was received, and fetches it from its usual source where it is not right.
 */
export interface PeerSource {
  /** What it is, the same on every host: its hash. */
  readonly key: string;
  /** Prints it, where the resource is as wanted. */
  readonly read: Script;
  /** Takes it on stdin, before the change. It runs in a shell of its own: see {@link Upload}. */
  readonly write: Script;
}

/** The exit code of a change that succeeded and changed nothing (a command with a `changed` predicate). */
export const UNCHANGED = 213;

/**
 * Proof that new connections still come through. The change arms a revert on the host itself; {@link script} disarms it
 * over a connection opened after the change. Where no connection comes through, the host reverts the change by itself.
 */
export interface Confirmation {
  /** Seconds from the change until the host reverts it. */
  readonly within: number;
  /** Exit code 0: disarmed. Otherwise the host has already reverted. */
  readonly script: Script;
}

/** The outcome of a failed change. */
export interface ChangeFailure {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A cause and a remedy. */
export interface Explanation {
  readonly what: string;
  readonly hint?: string | undefined;
}

/** Seconds that a change may take unless its resource says otherwise: enough for a package on a slow SD card. */
export const CHANGE_TIMEOUT = 600;

/**
 * Seconds without progress after which an upload is given up. On a slow line the last bytes read are under way for
 * long.
 */
export const UPLOAD_TIMEOUT = 300;

/** Seconds that one probe or fact may take. They only read; one that takes longer hangs. */
export const PROBE_TIMEOUT = 60;
