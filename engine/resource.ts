/**
 * The one idea: a resource is a probe that prints the state found, the state wanted, and the change that gets from one to the
 * other. A resource knows no host. Each kind has a file in `engine/resources/` and passes the contract suite
 * (test/contract).
 */
import type { Readable } from 'node:stream';
import type { Script, ShellFunction } from './script.ts';
import type { State } from './state.ts';

/** Whether and how a change can be taken back, by a later run of `undo`. */
export type Undo =
  /** The found state says it all: the same resource with found as wanted undoes it. */
  | { readonly kind: 'restore' }
  /** What the change replaces must be kept on the host first (a file's old content); this keeps it. */
  | { readonly kind: 'keep'; readonly paths: readonly string[] }
  /** It cannot be undone; the plan says so, with this reason. */
  | { readonly kind: 'none'; readonly why: string };

/** How it is known that a change took. */
export type Verification =
  /** The probe runs again and must now print what is wanted. */
  | 'probe'
  /** The change has no state of its own to look at (a command); its exit code is the answer. */
  | 'exit code';

/** A detailed diff, asked for in a round trip of its own and only where `--diff` is on and the state differs. */
export interface DiffDetail {
  /** Prints what {@link render} needs: a file's present content, a server-side dry run. Reads only. */
  readonly script: Script;
  /** Text for people, usually a unified diff, from what the script printed. Empty: nothing worth showing. */
  render(output: string): string | Promise<string>;
}

/** Something on a host that can be looked at and brought into a wanted state. */
export interface Resource {
  /** Its kind, the name of its file: `file`, `apt`, `systemd`. */
  readonly kind: string;
  /** Which one it is, for messages: a path, a package, a unit. With `kind` it names one thing on a host. */
  readonly id: string;
  /** Reads only, prints `key=value` lines, exit code 0. Works where prerequisites are absent (prints what it can say). */
  readonly probe: Script;
  /** What the probe looks at in the same way as others do theirs: asked once for all of a batch, before their probes. */
  readonly sharedProbe?: SharedProbe | undefined;
  /** The keys that must hold afterwards. Every key is one the probe prints. */
  readonly wanted: State;
  /** The change, given what the probe found. Runs only when something differs; exit code 0 means done. */
  change(found: State): Script;
  readonly undo: Undo;
  /** Default: `probe`. */
  readonly verify?: Verification | undefined;
  /** How long the change may take, in seconds. Default: {@link CHANGE_TIMEOUT}. */
  readonly timeout?: number | undefined;
  readonly detail?: DiffDetail | undefined;
  /**
   * True: the change only waits or looks. When it ran, the task is `ok`, never `changed`; check mode says that it would
   * wait.
   */
  readonly readOnly?: boolean | undefined;
  /** For a change that could cut the link it comes over. */
  readonly confirm?: Confirmation | undefined;
  /** For a change that is best made together with others of its kind that follow it at once; given what the probe found. */
  mergeable?(found: State): MergeableChange | undefined;
  /**
   * For a change with content too big for a script: sent before it, when the check found a difference; those of a row of tasks go
   * together. One that fails fails the task. The change itself then only finishes the work; it looks for itself whether that is
   * done. Undefined: there is nothing to send any more.
   */
  upload?(found: State): Upload | undefined;
  /** Bytes that an upload may have. */
  readonly uploadSize?: number | undefined;
  /** For a change that fetches something every host would have to fetch: one does, and the others get it from that one. */
  readonly peerSource?: PeerSource | undefined;
  /**
   * What a failed change means, in people's words: gets the change's exit code and the end of its stderr and stdout, and
   * returns the cause and what to try, or undefined when it has nothing to add.
   */
  explain?(failure: ChangeFailure): Explanation | undefined;
}

/** Something that a function can look at for many probes at once. */
export interface SharedProbe {
  /**
   * Reads only, and prints what it found as assignments to shell variables, for the probes to find, and one that lists what
   * it was asked for. A probe may use them where `$hw_probed` has the function's name (it has looked in this batch, and nothing
   * was changed since) and what it asks for is in the list.
   */
  readonly fn: ShellFunction;
  /** The arguments that this probe adds to it; the same of two probes only once. */
  readonly args: readonly string[];
}

/** A change that can be made together with others: packages in one transaction. Where that fails, each is made alone. */
export interface MergeableChange<Part = unknown> {
  /** Changes of the same key can be made together; their parts are of one type. */
  readonly key: string;
  /** What this change adds to the others. */
  readonly part: Part;
  /** The change, given the parts of all. */
  change(parts: readonly Part[]): Script;
}

/** Content on its way to a host, as bytes on a script's stdin. */
export interface Upload {
  /** Takes the content. It runs in a shell of its own, as an argument of it: a secret has no place here. */
  readonly script: Script;
  /** The content, read as it is sent. */
  content(): Readable;
  /** It pays to pack it on its way over a network, and the host has gzip. */
  readonly compressible?: boolean;
}

/**
 * Something that hosts can give to each other, through the controller: no host has to reach another, nor to let it in. What
 * is sent is only an offer: the change looks whether it is what it should be, and fetches it where not.
 */
export interface PeerSource {
  /** What it is, the same on every host: its hash. */
  readonly key: string;
  /** Prints it, where the resource is as wanted. */
  readonly read: Script;
  /** Takes it on stdin, before the change. It runs in a shell of its own: see {@link Upload}. */
  readonly write: Script;
}

/** The exit code by which a change says that it succeeded and changed nothing (a command with a `changed` predicate). */
export const UNCHANGED = 213;

/**
 * Proof that the way in is still open. The change armed a revert on the host itself; {@link script} disarms it and is run
 * over a connection opened after the change. Where none comes through, the host takes the change back by itself.
 */
export interface Confirmation {
  /** Seconds from the change until the host reverts it. */
  readonly within: number;
  /** Exit code 0: disarmed. Otherwise the host had already reverted. */
  readonly script: Script;
}

/** What a failed change left to go by. */
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

/** Seconds a change may take unless its resource says otherwise: long enough for a package on a slow SD card. */
export const CHANGE_TIMEOUT = 600;

/** Seconds without headway after which an upload is given up. On a slow line what was read last is still on its way for long. */
export const UPLOAD_TIMEOUT = 300;

/** Seconds all probes or facts of one script may take, each. A probe only reads; one that takes longer hangs. */
export const PROBE_TIMEOUT = 60;
