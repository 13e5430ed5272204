/**
 * What crosses from `run` to `remote`, as plain data: a host's connection and steps go in, results come back. The
 * caller never knows which transport it has.
 */
import type { Readable } from 'node:stream';
import type { Problem } from '../errors.ts';
import type { Script } from '../script.ts';
import type { Secret } from '../secret.ts';
import type { Cost, Traffic } from '../traffic.ts';

/** How to get root, or another user. */
export interface Become {
  readonly user: string;
  /** Goes to sudo on its stdin. Undefined: sudo must not ask. */
  readonly password?: Secret | undefined;
  readonly origins?: Origins<'user' | 'password'> | undefined;
}

/** Where the inventory says something, which wins over the command line: `ansible_user (hosts:3:8)`. For messages. */
export type Origins<Names extends string> = Readonly<Partial<Record<Names, string | undefined>>>;

/** How to reach a host. Plain data, made from the inventory; its only secrets are {@link Secret}s. */
export interface Connection {
  /** The inventory's name, for messages. */
  readonly name: string;
  readonly transport: 'ssh' | 'local';
  readonly address: string;
  /** Undefined: as ~/.ssh/config says, or 22. */
  readonly port?: number | undefined;
  /** Undefined: as ~/.ssh/config says, or the name of the user who runs this. */
  readonly user?: string | undefined;
  readonly password?: Secret | undefined;
  /** Path of a private key; without it, ssh's own defaults and the agent. */
  readonly privateKeyFile?: string | undefined;
  /** Further ssh options as Ansible spells them (`ansible_ssh_common_args`): `-o UserKnownHostsFile=...`, `-J jump`. */
  readonly sshArgs?: readonly string[] | undefined;
  readonly become?: Become | undefined;
  readonly origins?: Origins<'user' | 'password' | 'privateKeyFile'> | undefined;
  /** Seconds until a connection attempt is given up. */
  readonly connectTimeout: number;
  /** `accept-new` writes unknown keys to known_hosts; a changed key is refused either way. */
  readonly hostKeys: 'strict' | 'accept-new';
}

/** Which run holds a host, written where a second run can read it. */
export interface LockRequest {
  readonly runId: string;
  /** Who runs it, for the message: `ada@laptop`. */
  readonly holder: string;
  /** The process that runs it, as `controllerProcessId` names it. */
  readonly controller: string;
}

/** A script to be run on the host. Steps are sent together and answered one by one. */
export interface Step {
  /** Names the step in results; unique among the steps sent with it; letters, digits, `.`, `-`, `_`. */
  readonly id: string;
  /** Names the step in messages for people: the name of its task. */
  readonly title?: string | undefined;
  readonly script: Script;
  /** Seconds. Then the step and all it started is killed (TERM, after 2 s KILL), and its result says so. */
  readonly timeout: number;
  /**
   * Evaluated on the host before the step; when false the step is skipped. `$hw_out` is the stdout of the last captured
   * step; `$hw_rc_ID` (with `.` and `-` as `_`) the exit code of an earlier step, empty when it was skipped. Conditions
   * run in the session's own shell: a variable they set is seen by what comes later. `$hw_probed` is empty before the
   * first step, and after a step that {@link mayChange} something.
   */
  readonly onlyIf?: Script;
  /**
   * Keep stdout in `$hw_out` for later conditions. For probes: short text, no background processes. It comes when the
   * step is done, its last line break normalised to one; with `unseen` not at all.
   */
  readonly capture?: boolean | 'unseen';
  /** The step may change the host: what was probed before it no longer counts after it. Not together with `capture`. */
  readonly mayChange?: boolean;
  /** Evaluated on the host after the step, also when it was skipped; when true, all later steps are skipped. */
  readonly stopIf?: Script;
}

/** A script that reads content from its stdin. */
export interface UploadStep extends Pick<Step, 'id' | 'script' | 'timeout'> {
  /** Read as it is sent. */
  content(): Readable;
  /**
   * Compression pays for this content, and the host has gzip: it is compressed on its way, where the transport is a
   * network.
   */
  readonly compressible?: boolean | undefined;
}

/** The result of one step. */
export interface StepResult {
  readonly id: string;
  /** `skipped`: by its condition, or because an earlier step stopped the rest. */
  readonly outcome: 'ran' | 'skipped' | 'timed out' | 'interrupted';
  /** 0 to 255; 0 where skipped. */
  readonly exitCode: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** True when more than {@link OUTPUT_LIMIT} bytes came on a stream; the middle of it was dropped. */
  readonly truncated: boolean;
  /** Seconds it took, by the host's clock. */
  readonly duration: number;
  /** When it arrived, in seconds since 1970 by the controller's clock. */
  readonly arrived: number;
}

/** Bytes of a step's stdout, and of its stderr, that are kept: the first and last halves of it. */
export const OUTPUT_LIMIT = 8 * 1024 * 1024;

/** Is called while steps run. An error that it throws is thrown by `run`, once every step is answered. */
export interface StepListener {
  /** A step began on the host. */
  started?(id: string): void;
  /** Output of a running step, as it comes. */
  output?(id: string, stream: 'stdout' | 'stderr', chunk: Buffer): void;
  /** A step ended or was skipped. */
  finished?(result: StepResult): void;
}

/**
 * One long-lived shell on one host. `run` and `upload` calls are carried out one at a time, in the order they were
 * made.
 */
export interface Session {
  readonly name: string;
  /**
   * The machine that the shell is on: the same for every session on one machine, whatever its names in the inventory
   * are. Undefined where the machine cannot be told from others.
   */
  readonly machine?: string | undefined;
  /** What steps and uploads have cost so far, before ssh encrypts it. */
  readonly traffic: Traffic;
  /**
   * Round trips until a further channel has a shell: the channel, the shell's first line, sudo's question where it has
   * one.
   */
  readonly channelRoundTrips: number;
  /** What has crossed the wire so far, ssh's own messages included. Nothing where there is none. */
  readonly wire: Traffic;
  /** What it cost on the wire until the session was open. */
  readonly opening: { readonly connect: Cost; readonly authenticate: Cost; readonly become: Cost };
  /**
   * Runs steps, in one round trip.
   * @throws LinkError when the link is lost before every step is answered.
   */
  run(steps: readonly Step[], listener?: StepListener): Promise<readonly StepResult[]>;
  /**
   * Runs scripts with content on their stdin, a few at a time, each over a channel of its own: {@link
   * channelRoundTrips} and one more each. An upload that makes no progress for the step's timeout is ended, and its
   * result says so; content that cannot be read ends its upload with exit code 1 and the reason on stderr.
   * @throws LinkError when the link is lost.
   */
  upload(uploads: readonly UploadStep[]): Promise<readonly StepResult[]>;
  /**
   * What a script prints, byte for byte, over a channel of its own. It does not wait for other calls and is not counted
   * in {@link traffic}. For scripts that only read. The stream fails where the script does or the link is lost; who has
   * enough of it destroys it.
   */
  read(script: Script): Readable;
  /**
   * Takes the lock of the host with the next steps, at no round trip of its own. Sessions of one run share it, where
   * they are on one machine. Until it is taken, every call asks for it, and runs nothing without it.
   * @throws LockError from each call that sends steps while another run holds the host.
   */
  lock(request: LockRequest): void;
  /**
   * Stops every call made so far: after the step at hand, or at once by killing its processes. While there is no call,
   * the next one is skipped: the request may cross it. Later calls run.
   */
  interrupt(how: 'after this step' | 'now'): Promise<void>;
  /**
   * Ends the shell, which then releases its lock, and the link. An idle shell on another host is not waited for. Never
   * throws.
   */
  close(): Promise<void>;
}

/** A host that cannot be reached, or no longer: `unreachable` in recaps. */
export class LinkError extends Error {
  readonly problem: Problem;
  /** `lost`: the link broke after it stood, and something may have run. In every other phase nothing has. */
  readonly phase: 'connect' | 'host key' | 'authenticate' | 'become' | 'lost';
  /** The id of the step that was running. */
  readonly step: string | undefined;

  constructor(phase: LinkError['phase'], problem: Problem, step?: string) {
    super(problem.what);
    this.name = 'LinkError';
    this.phase = phase;
    this.problem = problem;
    this.step = step;
  }
}

/** Another run holds the host. */
export class LockError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.what);
    this.name = 'LockError';
    this.problem = problem;
  }
}

/**
 * Opens sessions; `sessionOpener` (open-session.ts) makes the one that picks the transport. Aborting the signal gives
 * up an opening that is not done yet, with a LinkError.
 */
export type OpenSession = (connection: Connection, signal?: AbortSignal) => Promise<Session>;
