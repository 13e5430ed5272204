/** Where an ssh link goes and how: a connection with ssh's options and the user's ssh configuration. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Secret } from '../secret.ts';
import { userName } from '../user-name.ts';
import { type Connection, LinkError, type Origins } from './session.ts';
import { parseSshArgs, parseSshConfigDump, type SshOptions } from './ssh-args.ts';

/** All that is known before the first packet. */
export interface SshTarget {
  /** The inventory's name, or a jump host's, for messages. */
  readonly name: string;
  /** It is a jump host. */
  readonly isJump: boolean;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: Secret | undefined;
  readonly origins: Origins<'user' | 'password' | 'privateKeyFile'>;
  readonly auth: AuthOptions;
  readonly hostKeys: HostKeyOptions;
  /** Jump hosts, outermost first: `user@host:port`. */
  readonly jumps: readonly string[];
  /** A local command whose stdin and stdout are the connection, its tokens filled in. */
  readonly proxyCommand: string | undefined;
  /** 4 or 6: only addresses of this family. 0: either. */
  readonly family: 0 | 4 | 6;
  readonly compress: boolean;
  /** Seconds. */
  readonly connectTimeout: number;
  /** Seconds between keepalive messages, and how many may stay unanswered. */
  readonly keepalive: { readonly interval: number; readonly count: number };
}

/** What to authenticate with. */
export interface AuthOptions {
  /** Private keys in the order they are offered. One that was named is `required`: its absence is said. */
  readonly keys: readonly { readonly file: string; readonly required: boolean }[];
  /** The agent's socket. */
  readonly agent: string | undefined;
  /** As with ssh: keys that were named come before the agent's; without any, the agent's come first. */
  readonly agentFirst: boolean;
  readonly forwardAgent: boolean;
  /** Methods that may be used, ssh's names. */
  readonly methods: readonly string[];
}

/** How to check a host's key. */
export interface HostKeyOptions {
  readonly mode: 'strict' | 'accept-new';
  /** New keys go to the first. */
  readonly userFiles: readonly string[];
  readonly globalFiles: readonly string[];
  /** The name it is known by; undefined: by host and port. */
  readonly alias: string | undefined;
  /** Write new names hashed. */
  readonly hash: boolean;
}

/** 10 s: three unanswered messages and one more interval (ssh2 gives up at the tick after the last). */
const KEEPALIVE = { interval: 2.5, count: 3 };

const DEFAULT_KEYS = ['id_rsa', 'id_ecdsa', 'id_ed25519'];
const METHODS = ['publickey', 'password', 'keyboard-interactive'];

/**
 * The target of a connection.
 * @throws UserError on ssh options that are not supported, LinkError when the ssh configuration cannot be read.
 */
export async function targetOf(connection: Connection): Promise<SshTarget> {
  const { name, address, sshArgs = [], privateKeyFile } = connection;
  const given = parseSshArgs(sshArgs, name);
  const options = await withConfig(given, connection);
  return build(name, address, options, { ...connection, key: privateKeyFile, isJump: false });
}

/**
 * The target of a jump host. As with ssh, options given for the host behind it are not for the jump host, which has its
 * own in the user's configuration; but the same keys are offered and the same known_hosts files looked up. No password
 * is.
 * @param spec `[user@]host[:port]`, also as `ssh://` address.
 */
export async function jumpTarget(spec: string, behind: Connection): Promise<SshTarget> {
  const [, user, bracketed, plain, port] =
    /^(?:ssh:\/\/)?(?:([^@]+)@)?(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?\/?$/.exec(spec.trim()) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) {
    throw new LinkError('connect', {
      what: `${JSON.stringify(spec)} does not name a jump host`,
      host: behind.name,
      expected: '[user@]host[:port], several with commas between',
    });
  }
  const given = parseSshArgs(behind.sshArgs ?? [], behind.name);
  const kept = new Map([...given].filter(([option]) => /^(f|identityfile|(user|global)knownhostsfile)$/.test(option)));
  const connection: Connection = {
    name: `jump host ${host}`,
    transport: 'ssh',
    address: host,
    port: port === undefined ? undefined : Number(port),
    user,
    connectTimeout: behind.connectTimeout,
    hostKeys: behind.hostKeys,
  };
  return build(connection.name, host, await withConfig(kept, connection), {
    ...connection,
    key: behind.privateKeyFile,
    origins: { privateKeyFile: behind.origins?.privateKeyFile },
    isJump: true,
  });
}

/** The options with those of ~/.ssh/config. `ssh -G` reads it: it knows Include, Match and every token. */
async function withConfig(given: SshOptions, { name, address, port, user }: Connection): Promise<SshOptions> {
  const config = given.get('f')?.[0];
  if (config === 'none') return given;
  if (config === undefined && !existsSync(join(homedir(), '.ssh', 'config'))) return given;
  const args = [
    ...(config === undefined ? [] : ['-F', config]),
    ...(port === undefined ? [] : ['-p', String(port)]),
    ...(user === undefined ? [] : ['-l', user]),
    ...[...given]
      .filter(([option]) => option !== 'f')
      .flatMap(([option, values]) => values.flatMap((value) => ['-o', `${option}=${value}`])),
  ];
  try {
    return parseSshConfigDump((await promisify(execFile)('ssh', ['-G', ...args, '--', address])).stdout);
  } catch (error) {
    // No ssh here: the options that were given count, and the user's configuration does not.
    if (config === undefined && error instanceof Error && 'code' in error && error.code === 'ENOENT') return given;
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error);
    throw new LinkError('connect', {
      what: `the ssh configuration could not be read: ${said.split('\n')[0]}`,
      host: name,
      hint: `ssh -G ${address} shows what ssh makes of it`,
    });
  }
}

function build(
  name: string,
  address: string,
  options: SshOptions,
  own: Pick<Connection, 'port' | 'user' | 'password' | 'origins' | 'connectTimeout' | 'hostKeys'> & {
    key: string | undefined;
    isJump: boolean;
  },
): SshTarget {
  const one = (option: string): string | undefined => options.get(option)?.[0];
  const isOn = (option: string, otherwise: boolean): boolean =>
    one(option) === undefined ? otherwise : /^(yes|true|on|1)$/i.test(one(option) ?? '');
  const seconds = (option: string): number | undefined => {
    const value = Number(one(option));
    return value > 0 ? value : undefined;
  };
  const host = one('hostname') ?? address;
  const port = own.port ?? Number(one('port') ?? 22);
  const user = own.user ?? one('user') ?? userName();
  const tokens = new Map([
    ['%', '%'],
    ['h', host],
    ['n', address],
    ['p', String(port)],
    ['r', user],
    ['u', userName()],
    ['d', homedir()],
  ]);
  const expand = (text: string): string => text.replace(/%(.)/g, (whole, token: string) => tokens.get(token) ?? whole);
  const path = (text: string): string => expand(text).replace(/^~(?=\/|$)/, homedir());
  const paths = (option: string, otherwise: string): string[] =>
    (one(option) ?? otherwise)
      .split(/\s+/)
      .map(path)
      .filter((file) => file !== 'none');
  const jumps = one('proxyjump');
  const proxyCommand = one('proxycommand');
  const strict = one('stricthostkeychecking') ?? 'ask';
  const interval = seconds('serveraliveinterval');
  return {
    name,
    isJump: own.isJump,
    host,
    port,
    user,
    password: own.password,
    origins: own.origins ?? {},
    auth: authOptions(options, own.key, path),
    hostKeys: {
      // `no` would take a changed key too; that is refused whatever is asked for.
      mode: /^(no|off|false|accept-new)$/i.test(strict) ? 'accept-new' : own.hostKeys,
      userFiles: paths('userknownhostsfile', '~/.ssh/known_hosts ~/.ssh/known_hosts2'),
      globalFiles: paths('globalknownhostsfile', '/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2'),
      alias: one('hostkeyalias'),
      hash: isOn('hashknownhosts', false),
    },
    jumps: jumps === undefined || jumps === 'none' ? [] : jumps.split(','),
    proxyCommand: proxyCommand === undefined || proxyCommand === 'none' ? undefined : expand(proxyCommand),
    family: one('addressfamily') === 'inet' ? 4 : one('addressfamily') === 'inet6' ? 6 : 0,
    compress: isOn('compression', false),
    connectTimeout: seconds('connecttimeout') ?? own.connectTimeout,
    keepalive:
      interval === undefined ? KEEPALIVE : { interval, count: seconds('serveralivecountmax') ?? KEEPALIVE.count },
  };
}

function authOptions(options: SshOptions, key: string | undefined, path: (text: string) => string): AuthOptions {
  const one = (option: string): string | undefined => options.get(option)?.[0];
  const isOff = (option: string): boolean => /^(no|false|off)$/i.test(one(option) ?? '');
  const defaults = DEFAULT_KEYS.map((file) => join(homedir(), '.ssh', file));
  const configured = (options.get('identityfile') ?? []).map(path).filter((file) => file !== 'none');
  // `ssh -G` lists the defaults, further kinds among them, where nothing else is configured.
  const named = [...(key === undefined ? [] : [key]), ...configured.filter((file) => !isDefault(file))];
  const agentWord = one('identityagent');
  const agent =
    agentWord === undefined || agentWord === 'SSH_AUTH_SOCK'
      ? process.env['SSH_AUTH_SOCK']
      : agentWord === 'none'
        ? undefined
        : path(agentWord.replace(/^\$\{?(\w+)\}?$/, (_, variable: string) => process.env[variable] ?? ''));
  const preferred = one('preferredauthentications')?.split(',') ?? METHODS;
  return {
    keys:
      named.length > 0
        ? named.map((file) => ({ file, required: true }))
        : defaults.map((file) => ({ file, required: false })),
    agent: /^(yes|true)$/i.test(one('identitiesonly') ?? '') && named.length > 0 ? undefined : agent || undefined,
    agentFirst: named.length === 0,
    forwardAgent: /^(yes|true)$/i.test(one('forwardagent') ?? ''),
    methods: preferred.filter(
      (method) =>
        METHODS.includes(method) &&
        !(method === 'publickey' && isOff('pubkeyauthentication')) &&
        !(method === 'password' && isOff('passwordauthentication')) &&
        !(method === 'keyboard-interactive' && isOff('kbdinteractiveauthentication')),
    ),
  };
}

function isDefault(file: string): boolean {
  return (
    file.startsWith(join(homedir(), '.ssh', 'id_')) &&
    /\/id_(rsa|ecdsa|ecdsa_sk|ed25519|ed25519_sk|xmss|dsa)$/.test(file)
  );
}
