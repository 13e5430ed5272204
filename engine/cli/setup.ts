/** From a command line to inventory and connections. Shared by playbooks and ad hoc commands. */
import { dirname } from 'node:path';
import { ExitCode, UserError } from '../errors.ts';
import type { Inventory, InventoryHost } from '../inventory/inventory.ts';
import type { Connection } from '../remote/session.ts';
import type { Secret } from '../secret.ts';
import type { CONNECTION_OPTIONS, OptionValues } from './options.ts';
import { askPasswords } from './password.ts';

/** The default of `--forks`. Ansible's 5 makes people wait, and ssh connections are cheap. */
export const DEFAULT_FORKS = 25;

/** The default of `--timeout`, in seconds: Ansible's. */
const CONNECT_TIMEOUT = 10;

/** What every command that connects to hosts needs. */
export interface Setup {
  readonly inventory: Inventory;
  readonly forks: number;
  /** How to reach a host, as root or as its own user. */
  readonly connect: (host: InventoryHost, become: boolean) => Connection;
}

/**
 * Loads the inventory, and asks for passwords where an option says so.
 * @throws UserError when there is no inventory, or something is wrong with it.
 */
export async function setUp(options: OptionValues<typeof CONNECTION_OPTIONS>): Promise<Setup> {
  if (options.inventory.length === 0) {
    throw new UserError(
      { what: 'no inventory', hint: '-i hosts names one; hosts.example shows how it looks' },
      ExitCode.usage,
    );
  }
  const { loadInventory } = await import('../inventory/load.ts');
  const { connectionOf } = await import('../inventory/connection.ts');
  const inventory = await loadInventory({
    sources: options.inventory,
    extraVars: options['extra-vars'],
    playbookDirectory: process.argv[1] === undefined ? undefined : dirname(process.argv[1]),
  });
  const { password, becomePassword } = await passwordsOf(options);
  return {
    inventory,
    forks: options.forks ?? DEFAULT_FORKS,
    connect: (host, become) =>
      connectionOf(host, {
        user: options.user,
        privateKeyFile: options['private-key'],
        connection: options.connection,
        sshCommonArgs: options['ssh-common-args'],
        password,
        become: become || options.become,
        becomeUser: options['become-user'],
        becomePassword,
        connectTimeout: options.timeout ?? CONNECT_TIMEOUT,
        acceptNewHostKeys: options['accept-new-host-keys'],
      }),
  };
}

/** Where both are asked for, an empty sudo password means the SSH password, as in Ansible. */
async function passwordsOf(options: OptionValues<typeof CONNECTION_OPTIONS>): Promise<{
  readonly password: Secret | undefined;
  readonly becomePassword: Secret | undefined;
}> {
  const ask = options['ask-pass'];
  const askBecome = options['ask-become-pass'];
  const becomePrompt = ask ? 'sudo password (empty: the SSH password): ' : 'sudo password: ';
  const answers = [...(await askPasswords([...(ask ? ['SSH password: '] : []), ...(askBecome ? [becomePrompt] : [])]))];
  const password = ask ? answers.shift() : undefined;
  const become = askBecome ? answers.shift() : undefined;
  return { password, becomePassword: become?.reveal() === '' ? (password ?? become) : become };
}
