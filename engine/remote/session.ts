/**
 * What crosses from `run` to `remote`, as plain data: a host's connection, a batch of steps; framed records come back. The
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
  /** For sudo, on its stdin. Undefined: sudo must not ask. */
  readonly password?: Secret | undefined;
  readonly origins?: Origins<'user' | 'password'> | undefined;
}

/** Where the inventory says something, which wins over the command line: `ansible_user (hosts:3:8)`. For messages. */
export type Origins<Names extends string> = Readonly<Partial<Record<Names, string | undefined>>>;

/** How to reach a host. Plain data, made from the inventory; no secrets but {@link Secret}s. */
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
  /** The process that runs it, as `controllerId` names it. */
  readonly controller: string;
}

/** One piece of a batch. */
export interface Step {
  /** Names the step in results; unique in its batch; letters, digits, `.`, `-`, `_`. */
  readonly id: string;
  readonly script: Script;
  /** Seconds. When they are over, the step and all it started is killed (TERM, after 2 s KILL) and its result says so. */
  readonly timeout: number;
  /**
   * Evaluated on the host before the step; when false the step is skipped. `$hw_out` is the stdout of the last captured
   * step; `$hw_rc_ID` (with `.` and `-` as `_`) the exit code of an earlier step, empty when it was skipped. Conditions run in
   * the session's own shell: a variable they set is seen by what comes later; `$hw_probed` is empty when a batch begins and behind a step that
   * {@link mayChange} something.
   */
  readonly onlyIf?: Script;
  /**
   * Keep stdout in `$hw_out` for later conditions. For probes: short text, no background processes. It comes when the step
   * is done, its last line break normalised to one; with `unseen` not at all.
   */
  readonly capture?: boolean | 'unseen';
  /** It may change the host, so that what was seen before is forgotten when it has run. Not together with `capture`. */
  readonly mayChange?: boolean;
  /** Evaluated on the host after the step (also when it was skipped); when true, all later steps of the batch are skipped. */
  readonly stopIf?: Script;
}

/** A script that gets content on its stdin. */
export interface UploadStep extends Pick<Step, 'id' | 'script' | 'timeout'> {
  /** Read as it is sent. */
  content(): Readable;
  /** It pays to pack it, and the host has gzip to unpack it: it is packed on its way where it has one. */
  readonly compressible?: boolean | undefined;
}

/** What one step left behind. */
export interface StepResult {
  readonly id: string;
  /** `skipped`: by its condition, or because the batch stopped before. */
  readonly outcome: 'ran' | 'skipped' | 'timed out' | 'interrupted';
  /** 0 to 255; 0 where skipped. */
  readonly exitCode: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** True when more than {@link OUTPUT_LIMIT} bytes came on a stream; the middle of it was dropped. */
  readonly truncated: boolean;
  /** Seconds it took, by the host's clock. */
  readonly duration: number;
  /** When it was here, in seconds since 1970 by the controller's clock. */
  readonly arrived: number;
}

/** Bytes of a step's stdout, and of its stderr, that are kept: the first and last halves of it. */
export const OUTPUT_LIMIT = 8 * 1024 * 1024;

/** Hears of a batch while it runs. */
export interface StepListener {
  /** A step began on the host. */
  started?(id: string): void;
  /** Output of a running step, as it comes. */
  output?(id: string, stream: 'stdout' | 'stderr', chunk: Buffer): void;
  /** A step ended or was skipped. */
  finished?(result: StepResult): void;
}

/** One long-lived shell on one host. Batches run one at a time, in the order they were given. */
export interface Session {
  readonly name: string;
  /** Names the machine at the other end: two sessions with the same are on one machine. Undefined where it is not known. */
  readonly machine?: string | undefined;
  /** What batches and transfers have cost so far, before ssh encrypts it. */
  readonly traffic: Traffic;
  /** Round trips until a further channel has a shell: the channel, the shell's first words, sudo's question where it has one. */
  readonly channelRoundTrips: number;
  /** What has crossed the wire so far, with all that ssh has to say. Nothing where there is none. */
  readonly wire: Traffic;
  /** What it cost until it was open, on the wire. */
  readonly opening: { readonly connect: Cost; readonly authenticate: Cost; readonly become: Cost };
  /**
   * Runs a batch: one round trip.
   * @throws LinkError when the link is lost before every step is answered for.
   */
  run(steps: readonly Step[], listener?: StepListener): Promise<readonly StepResult[]>;
  /**
   * Runs scripts with content on their stdin, each over a channel of its own beside the shell, a few at once, behind what was
   * given so far: {@link channelRoundTrips} and one more each. A transfer that makes no headway for the step's timeout is given up, and its result says so; content that
   * cannot be read ends it with exit code 1 and the reason on stderr.
   * @throws LinkError when the link is lost.
   */
  upload(transfers: readonly UploadStep[]): Promise<readonly StepResult[]>;
  /**
   * What a script prints, byte for byte, over a channel of its own, at once: whatever the shell is at meanwhile. It is not among
   * the {@link traffic}. For scripts that only read. The stream fails where the script does or the link is lost; who has enough of it destroys it.
   */
  read(script: Script): Readable;
  /** Takes the per-host lock with the next batch, no round trip of its own. @throws LockError from that batch. */
  lock(request: LockRequest): void;
  /**
   * Stops every batch given so far: after the step at hand, or at once by killing its processes. Without any, the next batch
   * given is left out, so that none slips through between a look and a request. Later ones run.
   */
  interrupt(how: 'after this step' | 'now'): Promise<void>;
  /** Ends the shell, which then gives up its lock, and the link. An idle shell on another host is not waited for. Never throws. */
  close(): Promise<void>;
}

/** Where a link broke. `unreachable` in recaps. */
export class LinkError extends Error {
  readonly problem: Problem;
  /** `connect` and `authenticate`: nothing has run. `lost`: the link broke later; `step` names what was running. */
  readonly phase: 'connect' | 'host key' | 'authenticate' | 'become' | 'lost';
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
 * Opens sessions; `engine/remote/open.ts` has the one that picks the transport. Aborting the signal gives up an opening that is
 * not done yet, with a LinkError.
 */
export type OpenSession = (connection: Connection, signal?: AbortSignal) => Promise<Session>;
