/**
 * A TCP relay that delays: the far-away host that a lab on one machine hasn't got, where the kernel can't add delay by
 * itself (netem is missing from many). It delays bytes, not packets: it stands for distance, not for loss.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A running relay. */
export interface Relay {
  /** Where to connect instead, on the loopback address. */
  readonly address: string;
  readonly port: number;
  /** How many connections it has taken so far. */
  readonly connections: number;
  /** Ends it, and every connection through it. */
  close(): Promise<void>;
}

/**
 * Starts a relay to `to`, in this process.
 *
 * @param delayMs The delay each way, in milliseconds; a round trip takes twice as much longer.
 */
export async function startRelay(
  to: { readonly host: string; readonly port: number },
  delayMs: number,
): Promise<Relay> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
    connections++;
    const far = connect({ ...to, noDelay: true, allowHalfOpen: true });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on('close', (broken) => {
        sockets.delete(one);
        if (broken) setTimeout(() => other.destroy(), delayMs);
      });
      one.on('error', () => one.destroy());
      forward(one, other, delayMs);
    }
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
      return connections;
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
function forward(from: Socket, to: Socket, delayMs: number): void {
  let underWay = 0;
  from.on('data', (chunk) => {
    underWay += chunk.length;
    if (underWay > mostUnderWay) from.pause();
    // Timers of equal delay fire in the order they were set.
    setTimeout(() => {
      to.write(chunk);
      underWay -= chunk.length;
      if (underWay <= mostUnderWay) from.resume();
    }, delayMs);
  });
  from.on('end', () => setTimeout(() => to.end(), delayMs));
}
