/** The messages of ssh links that could not be opened, or were lost. */
import { ProxyCommandError } from './proxy-command.ts';
import { LinkError } from './session.ts';
import type { SshTarget } from './ssh-target.ts';

/** An error as ssh2 and sockets make them. */
interface SshFault {
  readonly message: string;
  /** ssh2: where it comes from. */
  readonly level?: string | undefined;
  /** A system error's name, or the number of an ssh disconnect. */
  readonly code?: string | number | undefined;
}

/** Reads what was thrown. Several addresses that were tried give several errors; the first is the cause. */
export function faultOf(error: unknown): SshFault {
  if (error instanceof AggregateError && error.errors.length > 0) return faultOf(error.errors[0]);
  if (!(error instanceof Error)) return { message: String(error) };
  const level = 'level' in error && typeof error.level === 'string' ? error.level : undefined;
  const code =
    'code' in error && (typeof error.code === 'string' || typeof error.code === 'number') ? error.code : undefined;
  return { message: error.message, level, code };
}

/** Too many were logging in at once (sshd's MaxStartups), or sshd was just being restarted: worth another try. */
export function isDropped(error: unknown): boolean {
  if (error instanceof ProxyCommandError) return error.isDropped;
  const { message, code } = faultOf(error);
  return (
    /before handshake|Exceeded MaxStartups|Not allowed at this time/.test(message) ||
    code === 'ECONNRESET' ||
    code === 'EPIPE'
  );
}

const REFUSING =
  'may refuse this address, or too many log in at once: see MaxStartups in its sshd_config, or use fewer --forks';

/**
 * The error of a link that did not come about before the host's key was seen.
 * @param proxyStderr What a ProxyCommand said on stderr.
 */
export function connectError(target: SshTarget, error: unknown, proxyStderr = ''): LinkError {
  const { name, host, port, connectTimeout, proxyCommand, jumps } = target;
  const fault = faultOf(error);
  const where = `${host}:${port}`;
  const via = jumps.length > 0 ? ` (through ${jumps.join(', ')})` : proxyCommand ? ` (through "${proxyCommand}")` : '';
  const [what, hint] = ((): [string, string] => {
    if (error instanceof ProxyCommandError) {
      return [
        `no connection to ${where}: ${error.message}`,
        error.isDropped ? `the host in between ${REFUSING}` : `run it by hand: ${proxyCommand}`,
      ];
    }
    switch (fault.code) {
      case 'ENOTFOUND':
        return [
          `there is no host ${host} in the DNS`,
          'see ansible_host in the inventory for a misspelling, or use an address',
        ];
      case 'EAI_AGAIN':
        return [
          `the DNS did not answer when asked for ${host}`,
          'see that this machine has a network and a DNS server',
        ];
      case 'ECONNREFUSED':
        return [`nothing listens at ${where}${via}`, 'see that sshd runs there, and that ansible_port names its port'];
      case 'EHOSTUNREACH':
      case 'ENETUNREACH':
        return [`there is no route to ${where}${via}`, 'see that the host is up, and ansible_host is right'];
      case 'ETIMEDOUT':
        return [
          `${where}${via} did not answer within ${connectTimeout} s`,
          'see that the host is up and no firewall drops the port; -T gives it longer',
        ];
    }
    if (fault.level === 'client-timeout') {
      return [
        `${where}${via} took the connection, but sshd did not answer within ${connectTimeout} s`,
        'see whether the host is overloaded, or something else listens on that port; -T gives it longer',
      ];
    }
    if (fault.level === 'handshake') {
      return [
        `no agreement with ${where} on how to encrypt: ${fault.message}`,
        'the host offers only algorithms that are too old or too new for ssh2; see sshd -T on it',
      ];
    }
    if (isDropped(error)) {
      return [`${where}${via} closed the connection before saying anything, again and again`, `sshd ${REFUSING}`];
    }
    return [
      `no ssh connection to ${where}${via}: ${fault.message}`,
      `try by hand: ssh -p ${port} ${target.user}@${host}`,
    ];
  })();
  const said =
    error instanceof ProxyCommandError || proxyStderr === '' ? '' : `; the ProxyCommand said: ${proxyStderr}`;
  return new LinkError('connect', { what: what + said, host: name, hint });
}

/** The error of a host that did not let us in. */
export function authError(
  target: SshTarget,
  error: unknown,
  tried: readonly string[],
  accepted: readonly string[],
): LinkError {
  const { name, isJump, host, port, user, origins, connectTimeout } = target;
  const fault = faultOf(error);
  const list = tried.length > 0 ? tried.join(', ') : 'nothing, for there is no key, agent or password';
  if (fault.level === 'client-timeout') {
    return new LinkError('authenticate', {
      what: `${host}:${port} did not decide within ${connectTimeout} s whether to let ${user} in; tried: ${list}`,
      host: name,
      hint: 'its directory service or DNS may hang (UseDNS in sshd_config); -T gives it longer',
    });
  }
  const tooMany = /too many authentication failures/i.test(fault.message);
  const refused = fault.level === 'client-authentication' || tooMany;
  return new LinkError('authenticate', {
    what: refused
      ? `${host}:${port} does not let ${user} in; tried: ${list}${tooMany ? ', until it had enough' : ''}`
      : `${host}:${port} ended the login of ${user}: ${fault.message}; tried: ${list}`,
    host: name,
    expected: accepted.length > 0 ? accepted.join(', ') : undefined,
    hint: tooMany
      ? `${named('the key', origins.privateKeyFile, '--private-key')}; add -o IdentitiesOnly=yes to ` +
        '--ssh-common-args, or ansible_ssh_common_args, so that no others are offered'
      : [
          isJump ? 'name the user where the jump host is named: user@host' : named('the user', origins.user, '-u'),
          named('the key', origins.privateKeyFile, '--private-key'),
          isJump
            ? 'no password is offered to a jump host'
            : origins.password
              ? named('the password', origins.password, '-k')
              : 'be asked for a password with -k, where the host takes one',
        ].join('; '),
  });
}

/** How to name something: on the command line, or where the inventory says it. */
function named(what: string, origin: string | undefined, option: string): string {
  return origin ? `${what} is from ${origin}, which wins over ${option}` : `name ${what} with ${option}`;
}

/** Why a link that stood was lost, as a clause. */
export function lossReason(error: unknown, target: SshTarget): string {
  if (error === undefined) return 'the host closed it';
  const { level, code, message } = faultOf(error);
  if (level === 'client-timeout') return `no answer for ${target.keepalive.interval * (target.keepalive.count + 1)} s`;
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'it was reset';
  return message;
}
