/** A play: which roles, on which hosts, in which order. Keywords are Ansible's. */
import type { Position } from './errors.ts';
import type { RoleCall } from './role.ts';
import { callerOf } from './task.ts';

/** What {@link play} takes. */
export interface PlayDeclaration {
  readonly name: string;
  /** A pattern over the inventory: `k3s_cluster`, `server[0]`, `server:!node-1`. */
  readonly hosts: string;
  readonly roles: readonly RoleCall[];
  /** True: where the inventory has no such group or host, the play is left out. Default: that is an error. */
  readonly optional?: boolean;
  /**
   * How many hosts go through the roles together: a number, a percentage (`"30%"`), or a list of them for growing batches.
   * Default: all.
   */
  readonly serial?: Serial | readonly Serial[];
  readonly tags?: readonly string[];
  /** Run as root by sudo. Default: true, this is what the roles need; `-b` and `ansible_become` say more. */
  readonly become?: boolean;
  /** Variables that win over the inventory's and lose to `-e`. */
  readonly vars?: Readonly<Record<string, unknown>>;
  /** A failure on one host ends the play for all. */
  readonly anyErrorsFatal?: boolean;
  /** The play ends when more than this share of a batch failed (0 to 100). */
  readonly maxFailPercentage?: number;
  /** At most so many hosts at once, below `--forks`. */
  readonly throttle?: number;
}

/** A batch size: hosts, or a percentage of the play's hosts. */
export type Serial = number | `${number}%`;

/** A play. Made by {@link play}. */
export interface Play extends PlayDeclaration {
  /** The line of the playbook that made it. */
  readonly at?: Position | undefined;
}

/** Declares a play. */
export function play(declaration: PlayDeclaration): Play {
  return { ...declaration, at: callerOf(play) };
}

/** A playbook: its title and its plays, in order. */
export interface Playbook {
  readonly title: string;
  readonly plays: readonly Play[];
}
