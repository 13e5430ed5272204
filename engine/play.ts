/** A play: which roles, on which hosts, in which order. Keywords are Ansible's. */

import type { Position, Problem } from './errors.ts';
import type { RoleCall } from './role.ts';
import { callerOf } from './task.ts';
import {
  BOOLEAN,
  missingKeys,
  type Names,
  STRING_LIST,
  unknownKeys,
  type ValueType,
  wrongTypes,
} from './validate-options.ts';

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
  /**
   * `linear` (default): all hosts of a batch finish a stage before any begins the next. `free`: each goes through the roles as
   * fast as it can, and sees of the others what they are at that moment. Disruptions are serialised either way.
   */
  readonly strategy?: Strategy;
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

/** Do hosts wait for each other? */
export type Strategy = 'linear' | 'free';

/** A play. Made by {@link play}. */
export interface Play extends PlayDeclaration {
  /** The line of the playbook that made it. */
  readonly at?: Position | undefined;
}

/** Declares a play. */
export function play(declaration: PlayDeclaration): Play {
  const caller = callerOf(play);
  return {
    ...declaration,
    get at() {
      return caller();
    },
  };
}

/** What is wrong with a play's keywords: a playbook that nobody type-checks may hold anything. */
export function playProblems(play: Play): readonly Problem[] {
  const keywords = Object.keys(play).filter((name) => name !== 'at');
  const strays = unknownKeys('keyword', `play "${play.name}"`, keywords, NAMES, () => play.at);
  const leftOut = missingKeys('keyword', `play "${play.name}"`, play, NAMES, () => play.at);
  return [...strays, ...leftOut, ...(leftOut.length > 0 ? [] : wrongValues(play))];
}

function wrongValues(play: Play): readonly Problem[] {
  const wrong = wrongTypes(`play "${play.name}"`, play, KINDS, () => play.at);
  if (wrong.length > 0) return wrong;
  const uncalled = play.roles.filter((call: unknown) => typeof call === 'function');
  return uncalled.map(({ role }) => ({
    what: `play "${play.name}" has ${role ? `the role ${role.name}` : 'a function'} among its roles that is not called`,
    at: play.at,
    expected: 'calls, with variables or without: firewall(), firewall({ firewall_policy: "deny" })',
    hint: `${role?.name ?? 'role'}()`,
  }));
}

const isWhole = (value: unknown, from: number): boolean => Number.isInteger(value) && Number(value) >= from;
const isSerial = (value: unknown): boolean =>
  isWhole(value, 0) || (typeof value === 'string' && /^\d+(\.\d+)?%$/.test(value) && Number.parseFloat(value) <= 100);

/** Every keyword. */
const NAMES: Names<PlayDeclaration> = {
  name: 'needed',
  hosts: 'needed',
  roles: 'needed',
  optional: true,
  serial: true,
  strategy: true,
  tags: true,
  become: true,
  vars: true,
  anyErrorsFatal: true,
  maxFailPercentage: true,
  throttle: true,
};

/** What their values must be. */
const KINDS: { readonly [Name in keyof PlayDeclaration]?: ValueType } = {
  hosts: {
    expected: 'a pattern, as text: web:!old',
    fits: (value: unknown) => typeof value === 'string' && value !== '',
  },
  roles: {
    expected: 'a list of calls: [role(), other({ ... })]',
    // One that is not called has words of its own.
    fits: (value: unknown) => Array.isArray(value) && value.every((call) => typeof call === 'function' || call?.role),
  },
  serial: {
    expected: 'a number of hosts, a percentage ("30%"), or a list of them',
    fits: (value: unknown) => (Array.isArray(value) ? value.length > 0 && value.every(isSerial) : isSerial(value)),
  },
  strategy: {
    expected: 'linear, free',
    fits: (value: unknown) => value === 'linear' || value === 'free',
  },
  throttle: { expected: 'a whole number, 1 or more', fits: (value) => isWhole(value, 1) },
  maxFailPercentage: {
    expected: 'a number from 0 to 100',
    fits: (value: unknown) => typeof value === 'number' && value >= 0 && value <= 100,
  },
  optional: BOOLEAN,
  become: BOOLEAN,
  anyErrorsFatal: BOOLEAN,
  tags: STRING_LIST,
};

/** A playbook: its title and its plays, in order. */
export interface Playbook {
  readonly title: string;
  readonly plays: readonly Play[];
}
