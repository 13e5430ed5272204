/** Opens sessions, over the transport that a connection names. */
import { UserError } from '../errors.ts';
import { trafficBetween } from '../traffic.ts';
import { LocalLink } from './local-link.ts';
import { LinkError, type OpenSession, type Session } from './session.ts';
import { ShellSession } from './shell-session.ts';
import type { SshConnector } from './ssh-connector.ts';
import { openShell } from './sudo-shell.ts';

/** Opens sessions that share the links to their jump hosts. */
export function sessionOpener(): OpenSession {
  let connector: Promise<SshConnector> | undefined;
  // Loaded when the first host needs it: `--help` and local runs start faster.
  const ssh = () => {
    connector ??= import('./ssh-connector.ts').then(({ SshConnector }) => new SshConnector());
    return connector;
  };
  return async (connection, signal): Promise<Session> => {
    const link =
      connection.transport === 'local'
        ? new LocalLink()
        : await (await ssh()).open(connection, signal).catch((error: unknown) => {
            throw error instanceof UserError && error.problems[0] ? new LinkError('connect', error.problems[0]) : error;
          });
    const giveUp = (): void => void link.close();
    signal?.addEventListener('abort', giveUp);
    try {
      const [start, before] = [performance.now(), link.wire];
      // No sudo where we are that user already: hosts one logs in to as root often have none.
      const become = connection.become?.user === link.user ? undefined : connection.become;
      const { name, connectTimeout: timeout } = connection;
      const shell = await openShell(link, { name, become, timeout, identify: true });
      const cost = { ms: performance.now() - start, ...trafficBetween(before, link.wire) };
      return new ShellSession(link, shell, { ...connection, become }, cost);
    } catch (error) {
      await link.close();
      throw error;
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
  };
}
