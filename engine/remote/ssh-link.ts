/**
 * An ssh link: ssh2-promise opens it, the raw ssh2 client carries it (its own exec loses exit codes and lost links).
 */
import type { Duplex } from 'node:stream';
import type { Client, ClientChannel } from 'ssh2';
import { ssh2, ssh2Promise } from '../lazy-packages.ts';
import { type Traffic, trafficBetween } from '../traffic.ts';
import type { Channel, ChannelEnd, Link } from './link.ts';
import { LinkError } from './session.ts';
import { SshAuth } from './ssh-auth.ts';
import { HostKeyCheck } from './ssh-host-key.ts';
import { authError, lossReason } from './ssh-problem.ts';
import type { SshTarget } from './ssh-target.ts';
import { WireCounter } from './wire-counter.ts';

/** Tries to open a channel where the host grants none: one gets free a little after the last channel's end. */
const CHANNEL_TRIES = 5;

/** Milliseconds a link has to end by itself. */
const END_GRACE = 1000;

/** A {@link Link} over ssh. */
export class SshLink implements Link {
  readonly user: string;
  readonly opening: Link['opening'];
  readonly closed: Promise<string>;
  readonly #client: Client;
  readonly #wire: WireCounter;
  readonly #target: SshTarget;
  /** The ends of the channels that are open. */
  readonly #open = new Set<Promise<ChannelEnd>>();
  #lost: string | undefined;

  private constructor(
    client: Client,
    wire: WireCounter,
    target: SshTarget,
    opening: Link['opening'],
    closed: Promise<string>,
  ) {
    this.#client = client;
    this.#wire = wire;
    this.#target = target;
    this.user = target.user;
    this.opening = opening;
    this.closed = closed;
    void closed.then((why) => {
      this.#lost = why;
    });
  }

  /**
   * Speaks ssh over an open stream: checks the host's key, then logs in.
   * @param start When the connection was begun, by performance.now().
   * @throws LinkError; and what the socket or ssh2 threw where no key was seen yet, for the caller to try again.
   */
  static async over(stream: Duplex, target: SshTarget, start: number): Promise<SshLink> {
    const [check, auth] = await Promise.all([
      HostKeyCheck.prepare(target),
      SshAuth.prepare(target, (data) => ssh2().utils.parseKey(data)),
    ]);
    // ssh2 would not notice, and would wait as long as a login may take.
    if (stream.destroyed || stream.readableEnded) throw stream.errored ?? new Error('Connection lost before handshake');
    const { keepalive, auth: how } = target;
    const wire = new WireCounter(stream);
    const connection = new (ssh2Promise().SSH)({
      host: target.host,
      port: target.port,
      username: target.user,
      sock: stream,
      reconnect: false,
      readyTimeout: Math.max(1, target.connectTimeout * 1000 - (performance.now() - start)),
      keepaliveInterval: keepalive.interval * 1000,
      keepaliveCountMax: keepalive.count,
      hostVerifier: check.verifier,
      authHandler: auth.handler,
      algorithms: {
        serverHostKey: check.algorithms,
        compress: target.compress ? ['zlib@openssh.com', 'zlib', 'none'] : ['none'],
      },
      ...(how.agent && how.forwardAgent ? { agent: how.agent, agentForward: true } : {}),
    });
    const connected = connection.connect();
    // It rejects with the last error. The first, caught below, is the cause.
    connected.catch(() => {});
    // The raw client, private in the types alone.
    const client: Client = connection['sshConnection'];
    let first: unknown;
    let handshake: { readonly at: number; readonly traffic: Traffic } | undefined;
    // It stays: an 'error' without a listener would end the process.
    client.on('error', (error) => {
      // An agent that cannot be asked is no error yet; the next method is tried.
      if ('level' in error && error.level === 'agent') return;
      first ??= error;
    });
    client.once('handshake', () => {
      handshake = { at: performance.now(), traffic: wire.traffic };
    });
    const lost = new Promise<string>((resolve) => client.once('close', () => resolve(lossReason(first, target))));
    try {
      await Promise.race([connected, streamClosed(stream)]);
    } catch (error) {
      client.destroy();
      if (check.refusal) throw check.refusal;
      if (handshake !== undefined) throw authError(target, first ?? error, auth.tried, auth.accepted);
      throw first ?? error;
    }
    // ssh2 counts only the answer to its keepalive, which waits behind what is being sent: minutes, on a slow line.
    const isAlive: unknown = Reflect.get(client, '_resetKA');
    if (typeof isAlive === 'function') stream.on('data', () => isAlive());
    const ready = { at: performance.now(), traffic: wire.traffic };
    const known = handshake ?? ready;
    const opening = {
      connect: { ms: known.at - start, ...known.traffic },
      authenticate: { ms: ready.at - known.at, ...trafficBetween(known.traffic, ready.traffic) },
    };
    return new SshLink(client, wire, target, opening, lost);
  }

  get wire(): Traffic {
    return this.#wire.traffic;
  }

  async open(command: string): Promise<Channel> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#exec(command);
      } catch (error) {
        // 2: no further session is granted (MaxSessions).
        const full = error instanceof Error && 'reason' in error && error.reason === 2;
        if (full && this.#open.size > 1) {
          // The session's shell stays; one of the others will end.
          await Promise.race(this.#open);
          attempt = 0;
          continue;
        }
        if (full && attempt < CHANNEL_TRIES) {
          await new Promise((resolve) => setTimeout(resolve, 100 * attempt));
          continue;
        }
        throw this.#openError(error, full);
      }
    }
  }

  #exec(command: string): Promise<Channel> {
    return new Promise((resolve, reject) => {
      void this.closed.then(reject);
      // Throws at once when the link is closed.
      this.#client.exec(command, (error, stream) => {
        if (error) return reject(error);
        const channel = channelOf(stream);
        this.#open.add(channel.ended);
        void channel.ended.then(() => this.#open.delete(channel.ended));
        resolve(channel);
      });
    });
  }

  #openError(error: unknown, full: boolean): LinkError {
    const { name } = this.#target;
    if (this.#lost !== undefined)
      return new LinkError('lost', { what: `lost the connection: ${this.#lost}`, host: name });
    const said = error instanceof Error ? error.message : String(error);
    return new LinkError('connect', {
      what: full ? 'the host grants no further channel on this connection' : `no shell could be started: ${said}`,
      host: name,
      hint: full ? 'raise MaxSessions in its sshd_config (2 are needed)' : 'see that the user may run commands there',
    });
  }

  /** A stream to another host, through this one. @throws what ssh2 throws. */
  forward(host: string, port: number): Promise<Duplex> {
    return new Promise((resolve, reject) => {
      void this.closed.then((why) => reject(new Error(`lost the connection to the jump host: ${why}`)));
      this.#client.forwardOut('127.0.0.1', 0, host, port, (error, stream) => (error ? reject(error) : resolve(stream)));
    });
  }

  async close(): Promise<void> {
    this.#client.end();
    const timer = setTimeout(() => this.#client.destroy(), END_GRACE);
    await this.closed;
    clearTimeout(timer);
  }
}

/** Rejects when the stream closes. */
function streamClosed(stream: Duplex): Promise<never> {
  const promise = new Promise<never>((_, reject) => {
    // An error that ssh2 has of it comes first.
    stream.once('close', () => setImmediate(() => reject(new Error('Connection lost before handshake'))));
  });
  promise.catch(() => {});
  return promise;
}

/** Listens at once, in exec's callback: a later listener may miss events. */
function channelOf(stream: ClientChannel): Channel {
  const ended = new Promise<ChannelEnd>((resolve) => {
    // 'close' knows the code, where 'exit' may never come; without either the link was lost.
    stream.once('close', (code?: number | null, signal?: string) =>
      resolve({ code: code ?? undefined, signal: signal ?? undefined }),
    );
  });
  stream.on('error', () => {});
  stream.stderr.on('error', () => {});
  return { stdin: stream, stdout: stream, stderr: stream.stderr, ended, close: () => stream.destroy() };
}
