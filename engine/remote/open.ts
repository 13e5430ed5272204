/** Opens sessions, over the transport that a connection names. */
import { userInfo } from 'node:os';
import { openShell } from './become.ts';
import type { Link } from './link.ts';
import type { Become, Connection, OpenSession, Session } from './session.ts';
import { ShellSession } from './shell-session.ts';

/** Opens a session. @throws LinkError */
export const openSession: OpenSession = async (connection: Connection): Promise<Session> => {
  const link = await openLink(connection);
  try {
    const start = performance.now();
    const become = neededBecome(connection);
    const shell = await openShell(link, connection.name, become, connection.connectTimeout);
    return new ShellSession(link, shell, { ...connection, become }, performance.now() - start);
  } catch (error) {
    await link.close();
    throw error;
  }
};

async function openLink(connection: Connection): Promise<Link> {
  const { LocalLink } = await import('./local.ts');
  return new LocalLink();
}

/** Sudo is left out where we are that user already: hosts one logs in to as root often have none. */
function neededBecome({ transport, user, become }: Connection): Become | undefined {
  const login = transport === 'local' ? userInfo().username : user;
  return become?.user === login ? undefined : become;
}
