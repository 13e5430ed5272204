/**
 * A TCP relay that delays: the far-away host that a lab on one machine hasn't got, where the kernel can't add delay by
 * itself (netem is missing from many). It delays bytes, not packets: it stands for distance, not for loss.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Traffic } from '../engine/traffic.ts';

/**
 * What passed a relay. A round trip is an answer of the far host after something was sent to it, or the making of a
 * connection. Where both sides send at once, more are counted than were waited for.
 */
export interface RelayTraffic extends Traffic {
  readonly connections: number;
}

/** The sum of what passed several relays. */
export function sumOf(parts: readonly RelayTraffic[]): RelayTraffic {
  return parts.reduce(
    (sum, part) => ({
      connections: sum.connections + part.connections,
      bytesOut: sum.bytesOut + part.bytesOut,
      bytesIn: sum.bytesIn + part.bytesIn,
      roundTrips: sum.roundTrips + part.roundTrips,
    }),
    { connections: 0, bytesOut: 0, bytesIn: 0, roundTrips: 0 },
  );
}

/** A running relay. */
export interface Relay {
  /** Where to connect instead, on the loopback address. */
  readonly address: string;
  readonly port: number;
  /** How many connections it has taken so far. */
  readonly connections: number;
  /** What passed so far. */
  readonly traffic: RelayTraffic;
  /** Ends it, and every connection through it. */
  close(): Promise<void>;
}

/**
 * Starts a relay to `to`, in this process. Making a connection takes a round trip, as TCP's handshake does: what the near
 * end sends before counts as sent then.
 *
 * @param delayMs The delay each way, in milliseconds; a round trip takes twice as much longer.
 */
export async function startRelay(
  to: { readonly host: string; readonly port: number },
  delayMs: number,
): Promise<Relay> {
  const sockets = new Set<Socket>();
  const traffic = { connections: 0, bytesOut: 0, bytesIn: 0, roundTrips: 0 };
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
    traffic.connections++;
    traffic.roundTrips++;
    let spokenTo = false;
    let far: Socket | undefined;
    sockets.add(near);
    near.on('error', () => near.destroy());
    near.on('close', (broken) => {
      sockets.delete(near);
      if (broken) later(delayMs, () => far?.destroy());
    });
    later(2 * delayMs, () => {
      // Before anything that came in is passed on: timers of equal delay fire in the order they were set.
      later(delayMs, () => {
        if (near.destroyed) return;
        const opened = connect({ ...to, noDelay: true, allowHalfOpen: true });
        far = opened;
        sockets.add(opened);
        opened.on('error', () => opened.destroy());
        opened.on('close', (broken) => {
          sockets.delete(opened);
          if (broken) later(delayMs, () => near.destroy());
        });
        opened.on('data', (chunk: Buffer) => {
          traffic.bytesIn += chunk.length;
          if (spokenTo) traffic.roundTrips++;
          spokenTo = false;
        });
        forward(opened, () => near, delayMs);
      });
      near.on('data', (chunk: Buffer) => {
        traffic.bytesOut += chunk.length;
        spokenTo = true;
      });
      forward(near, () => far, delayMs);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { address, port } = server.address() as AddressInfo;
  return {
    address,
    port,
    get connections() {
      return traffic.connections;
    },
    get traffic() {
      return { ...traffic };
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** How many bytes may be under way in one direction; like a long wire's, the window has to be large. */
const mostUnderWay = 16 << 20;

/** Passes on what comes in at `from`, `delayMs` later, in order, its end included. */
function forward(from: Socket, to: () => Socket | undefined, delayMs: number): void {
  let underWay = 0;
  from.on('data', (chunk) => {
    underWay += chunk.length;
    if (underWay > mostUnderWay) from.pause();
    later(delayMs, () => {
      to()?.write(chunk);
      underWay -= chunk.length;
      if (underWay <= mostUnderWay) from.resume();
    });
  });
  from.on('end', () => later(delayMs, () => to()?.end()));
}

/** Does something after a delay; at once without one, for a timer takes a millisecond at least. */
function later(delayMs: number, work: () => void): void {
  if (delayMs > 0) setTimeout(work, delayMs);
  else work();
}
