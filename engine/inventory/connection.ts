/** How to reach a host: Ansible's connection variables, then the options of the command line, then defaults. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { formatPosition, type Position, UserError } from '../errors.ts';
import type { Become, Connection } from '../remote/session.ts';
import { Secret, SecretText } from '../secret.ts';
import type { InventoryHost } from './inventory.ts';
import { splitOptions } from './shlex.ts';

/** The command line's connection options. As in Ansible, a host's own variables win over them. */
export interface ConnectionOptions {
  /** `-u`. Default: what ~/.ssh/config says, or the name of the local user. */
  readonly user?: string | undefined;
  /** `-k`. */
  readonly password?: Secret | undefined;
  /** `--private-key`. */
  readonly privateKeyFile?: string | undefined;
  /** `-c`. */
  readonly connection?: string | undefined;
  /** `--ssh-common-args`: options for ssh, `-o ProxyJump=...`. */
  readonly sshCommonArgs?: string | undefined;
  /** Become another user: the play's `become`, or `-b`. */
  readonly become?: boolean | undefined;
  /** `--become-user`. Default: root. */
  readonly becomeUser?: string | undefined;
  /** `-K`. */
  readonly becomePassword?: Secret | undefined;
  /** `-T`, in seconds. Default: 10, Ansible's. */
  readonly connectTimeout?: number | undefined;
  /** `--accept-new-host-keys`. Default: unknown keys are refused. */
  readonly acceptNewHostKeys?: boolean | undefined;
}

const USER = ['ansible_user', 'ansible_ssh_user'];
const PASSWORD = ['ansible_password', 'ansible_ssh_password', 'ansible_ssh_pass'];
const PRIVATE_KEY = ['ansible_ssh_private_key_file', 'ansible_private_key_file'];
const BECOME_USER = ['ansible_become_user', 'ansible_sudo_user'];
const BECOME_PASSWORD = ['ansible_become_password', 'ansible_become_pass', 'ansible_sudo_pass'];

/**
 * The connection of a host. Its only I/O is to look whether the private key exists.
 * @throws UserError, with its position, on a value of the wrong type, an encrypted one, and one that only Ansible
 * supports.
 */
export function connectionOf(host: InventoryHost, options: ConnectionOptions = {}): Connection {
  const vars = new ConnectionVars(host);
  const key = vars.text(...PRIVATE_KEY) ?? options.privateKeyFile;
  const commonArgs = vars.words('ansible_ssh_common_args') ?? splitOption(options.sshCommonArgs, '--ssh-common-args');
  const sshArgs = [...commonArgs, ...(vars.words('ansible_ssh_extra_args') ?? [])];
  const transport = transportOf(vars, options);
  return {
    name: host.name,
    transport,
    address: host.address,
    // Undefined where it is not set, so that ~/.ssh/config decides.
    port: isPortSet(host) ? host.port : undefined,
    user: vars.text(...USER) ?? options.user,
    password: vars.secret(...PASSWORD) ?? options.password,
    privateKeyFile: key === undefined || transport === 'local' ? undefined : keyFile(key, vars),
    sshArgs: sshArgs.length > 0 ? sshArgs : undefined,
    become: becomeOf(vars, options),
    origins: {
      user: vars.origin(...USER),
      password: vars.origin(...PASSWORD),
      privateKeyFile: vars.origin(...PRIVATE_KEY),
    },
    connectTimeout: vars.seconds('ansible_timeout', 'ansible_ssh_timeout') ?? options.connectTimeout ?? 10,
    hostKeys: hostKeysOf(vars, options),
  };
}

function isPortSet(host: InventoryHost): boolean {
  return host.definitions('ansible_port').length + host.definitions('ansible_ssh_port').length > 0;
}

function transportOf(vars: ConnectionVars, options: ConnectionOptions): Connection['transport'] {
  const written = vars.text('ansible_connection') ?? options.connection ?? 'ssh';
  const transport = written.replace(/^ansible\.(builtin|netcommon)\./, '');
  if (transport === 'ssh' || transport === 'smart' || transport.startsWith('paramiko')) return 'ssh';
  if (transport === 'local') return 'local';
  throw vars.problem('ansible_connection', `ansible_connection is "${written}"`, 'ssh, local');
}

function becomeOf(vars: ConnectionVars, options: ConnectionOptions): Become | undefined {
  const isWanted = vars.boolean('ansible_become') ?? options.become ?? false;
  if (!isWanted) return undefined;
  const method = vars.text('ansible_become_method');
  if (method !== undefined && method !== 'sudo' && method !== 'ansible.builtin.sudo') {
    throw vars.problem('ansible_become_method', `ansible_become_method is "${method}"`, 'sudo');
  }
  return {
    user: vars.text(...BECOME_USER) ?? options.becomeUser ?? 'root',
    password: vars.secret(...BECOME_PASSWORD) ?? options.becomePassword,
    origins: { user: vars.origin(...BECOME_USER), password: vars.origin(...BECOME_PASSWORD) },
  };
}

function hostKeysOf(vars: ConnectionVars, options: ConnectionOptions): Connection['hostKeys'] {
  const checking = vars.boolean('ansible_ssh_host_key_checking', 'ansible_host_key_checking');
  // Ansible would then accept any key; here a changed key is still refused.
  return checking === false || options.acceptNewHostKeys ? 'accept-new' : 'strict';
}

function keyFile(written: string, vars: ConnectionVars): string {
  const file = written.replace(/^~(?=\/|$)/, homedir());
  if (existsSync(file)) return file;
  const what = `the private key ${written} does not exist`;
  throw vars.problem('ansible_ssh_private_key_file', what, 'a path relative to the current folder, or one with ~');
}

function splitOption(text: string | undefined, option: string): string[] {
  if (text === undefined) return [];
  try {
    return splitOptions(text);
  } catch (error) {
    throw new UserError({ what: `${option}: ${error instanceof Error ? error.message : String(error)}` });
  }
}

/**
 * Reads a host's variables as values of a type. Each method takes the present name of a variable and its older names.
 */
class ConnectionVars {
  readonly #host: InventoryHost;

  constructor(host: InventoryHost) {
    this.#host = host;
  }

  /** The first that is set. An empty value counts as not set, as in Ansible. */
  #value(names: readonly string[]): { name: string; value: unknown } | undefined {
    for (const name of names) {
      const value = this.#host.var(name);
      const isEmpty = value === undefined || value === null || value === '';
      if (!isEmpty && !(value instanceof Secret && value.reveal() === '')) return { name, value };
    }
    return undefined;
  }

  /** The variable and where it is set, for messages. */
  origin(...names: string[]): string | undefined {
    const name = this.#value(names)?.name;
    if (name === undefined) return undefined;
    const [definition] = this.#host.definitions(name);
    return definition && `${name} (${definition.at ? formatPosition(definition.at) : definition.source})`;
  }

  text(...names: string[]): string | undefined {
    const found = this.#value(names);
    if (!found) return undefined;
    if (typeof found.value === 'string') return found.value;
    // `ansible_user=1000` is a number in INI, and a name here.
    if (typeof found.value === 'number') return this.#host.definitions(found.name)[0]?.text ?? String(found.value);
    throw this.problem(found.name, `${found.name} is not text`, 'text');
  }

  secret(...names: string[]): Secret | undefined {
    const found = this.#value(names);
    if (!found) return undefined;
    if (found.value instanceof Secret) return found.value;
    if (found.value instanceof SecretText) return new Secret(found.value.reveal());
    if (typeof found.value === 'string' || typeof found.value === 'number') return new Secret(String(found.value));
    throw this.problem(found.name, `${found.name} is not text`, 'text');
  }

  boolean(...names: string[]): boolean | undefined {
    const found = this.#value(names);
    if (!found) return undefined;
    if (typeof found.value === 'boolean') return found.value;
    const word = String(found.value).toLowerCase();
    if (/^(yes|true|on|1)$/.test(word)) return true;
    if (/^(no|false|off|0)$/.test(word)) return false;
    throw this.problem(found.name, `${found.name} is neither yes nor no: ${String(found.value)}`, 'true, false');
  }

  seconds(...names: string[]): number | undefined {
    const found = this.#value(names);
    if (!found) return undefined;
    const seconds = Number(found.value);
    if (seconds > 0 && Number.isFinite(seconds)) return seconds;
    throw this.problem(found.name, `${found.name} is not a number of seconds: ${String(found.value)}`, '10, 30 ...');
  }

  words(name: string): string[] | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    try {
      return splitOptions(text);
    } catch (error) {
      throw this.problem(name, `${name}: ${error instanceof Error ? error.message : String(error)}`, '-o Option=value');
    }
  }

  problem(name: string, what: string, expected: string): UserError {
    const at: Position | undefined = this.#host.definitions(name)[0]?.at;
    return new UserError({ what, at, host: at ? undefined : this.#host.name, expected });
  }
}
