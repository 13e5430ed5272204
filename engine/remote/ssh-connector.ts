/** Opens ssh links: directly, through jump hosts, or through a proxy command. */
import { connect as connectSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { ssh2Promise } from '../lazy-packages.ts';
import { JumpHosts } from './jump-hosts.ts';
import type { Link } from './link.ts';
import { ProxyStream } from './proxy-command.ts';
import { type Connection, LinkError } from './session.ts';
import { SshLink } from './ssh-link.ts';
import { connectError, isDropped } from './ssh-problem.ts';
import { jumpTarget, type SshTarget, targetOf } from './ssh-target.ts';

/** Attempts at a connection that the host drops before it says anything (MaxStartups). */
const TRIES = 6;

/** Opens ssh links; those that go through the same jump hosts share the links to them. */
export class SshConnector {
  readonly #jumps = new JumpHosts();

  /** Opens a link, or gives it up when `signal` is aborted. @throws LinkError */
  async open(connection: Connection, signal?: AbortSignal): Promise<Link> {
    const target = await targetOf(connection);
    if (target.jumps.length === 0) {
      return openWithRetry(
        target,
        async () => (target.proxyCommand ? new ProxyStream(target.proxyCommand) : tcp(target, signal)),
        signal,
      );
    }
    return this.#throughJumps(connection, target, signal);
  }

  async #throughJumps(connection: Connection, target: SshTarget, signal: AbortSignal | undefined): Promise<Link> {
    const targets = await Promise.all(target.jumps.map((spec) => jumpTarget(spec, connection)));
    const lease = await this.#jumps.lease(targets, (hop, through) =>
      openWithRetry(hop, () => (through ? through.forward(hop.host, hop.port) : tcp(hop, signal)), signal),
    );
    try {
      const link = await openWithRetry(target, () => lease.link.forward(target.host, target.port), signal);
      void link.closed.then(() => lease.release());
      return link;
    } catch (error) {
      await lease.release();
      throw error;
    }
  }
}

/** Connects and logs in; tries again where the host drops the connection before it says anything. */
async function openWithRetry(
  target: SshTarget,
  dial: () => Promise<Duplex>,
  signal: AbortSignal | undefined,
): Promise<SshLink> {
  for (let attempt = 1; ; attempt++) {
    const start = performance.now();
    let stream: Duplex | undefined;
    const giveUp = (): void => void stream?.destroy();
    signal?.addEventListener('abort', giveUp);
    try {
      signal?.throwIfAborted();
      const dialing = dial();
      dialing.catch(() => {});
      // Loaded while the first connection is on its way.
      ssh2Promise();
      stream = await dialing;
      // Until ssh2 listens: an error without a listener would end the process.
      stream.on('error', () => {});
      signal?.throwIfAborted();
      return await SshLink.over(stream, target, start);
    } catch (error) {
      stream?.destroy();
      if (signal?.aborted)
        throw new LinkError('connect', { what: 'stopped by you before it was connected', host: target.name });
      if (error instanceof LinkError) throw error;
      const stderr = stream instanceof ProxyStream ? stream.stderr : '';
      if (attempt === TRIES || !isDropped(error)) throw connectError(target, error, stderr);
      // The wait doubles, and differs between hosts.
      await sleep(100 * 2 ** attempt * (0.5 + Math.random()), undefined, { signal }).catch(() => {});
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
  }
}

/** A TCP connection. noDelay from the first: with Nagle's algorithm each answer takes 40 ms more. */
function tcp({ host, port, family, connectTimeout }: SshTarget, signal: AbortSignal | undefined): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket({ host, port, family, noDelay: true, autoSelectFamilyAttemptTimeout: 2000 });
    // Not connect's own `signal`: that one would end the connection later, too.
    const giveUp = (): void => fail(new Error('given up'));
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', giveUp);
    };
    const fail = (error: Error): void => {
      done();
      socket.destroy();
      reject(error);
    };
    signal?.addEventListener('abort', giveUp);
    const timer = setTimeout(
      () => fail(Object.assign(new Error('timed out'), { code: 'ETIMEDOUT' })),
      connectTimeout * 1000,
    );
    socket.once('error', fail);
    socket.once('connect', () => {
      done();
      socket.off('error', fail);
      resolve(socket);
    });
  });
}
