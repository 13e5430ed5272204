/**
 * Locks between processes on this machine that vanish with their holder: a name in Linux's abstract socket namespace,
 * which only one process can listen on, and which nothing needs to clean up after a kill.
 */
import { createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Runs `work` while holding the lock `name`, waiting for it as long as another process has it. */
export async function withLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  const server = await acquire(name);
  try {
    return await work();
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

async function acquire(name: string): Promise<Server> {
  for (;;) {
    const server = createServer((socket) => socket.destroy());
    const held = await new Promise<boolean>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) =>
        error.code === 'EADDRINUSE' ? resolve(true) : reject(error),
      );
      server.listen(`\0heartwood-lab-${name}`, () => resolve(false));
    });
    if (!held) return server;
    await sleep(50);
  }
}
