/**
 * What a transport offers: a link to a host, over which commands are opened. Everything above it (the shell, its
 * framing, the lock) is the same for every transport.
 */
import type { Readable, Writable } from 'node:stream';
import type { Cost, Traffic } from '../traffic.ts';

/** A command on the host, with its three streams apart. */
export interface Channel {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles once, when the command has ended and all it printed has been delivered. Never rejects. */
  readonly ended: Promise<ChannelEnd>;
  /** Closes the channel, whatever the command does. Never throws. */
  close(): void;
}

/** How a command ended. Both undefined: the link broke before it did. */
export interface ChannelEnd {
  readonly code: number | undefined;
  readonly signal: string | undefined;
}

/** An authenticated link to a host. */
export interface Link {
  /** The user that its commands run as. */
  readonly user: string;
  /** What it cost until the host's key was verified, and from there until it had let us in. */
  readonly opening: { readonly connect: Cost; readonly authenticate: Cost };
  /** What has crossed the wire so far. Nothing where there is none. */
  readonly wire: Traffic;
  /** Settles when the link is closed or lost, with the reason as a clause: `no answer for 10 s`. Never rejects. */
  readonly closed: Promise<string>;
  /**
   * Starts a command, given to the user's login shell on the host.
   * @throws LinkError when the link is closed or the host grants no further channel.
   */
  open(command: string): Promise<Channel>;
  /** Ends the link and every command on it. Never throws. */
  close(): Promise<void>;
}
