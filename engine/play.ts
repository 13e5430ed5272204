/** A play: which roles, on which hosts, in which order. Keywords are Ansible's. */

import type { Position, Problem } from './errors.ts';
import type { RoleCall } from './role.ts';
import { callerOf } from './task.ts';
import {
  BOOLEAN,
  invalidOptions,
  isMapping,
  type OptionsOf,
  oneOf,
  required,
  STRING_LIST,
  TEXT,
  unknownOptions,
  valueType,
} from './validate-options.ts';

/** A batch size: a number of hosts, or a percentage of the play's hosts. */
export type Serial = number | `${number}%`;

const isWhole = (value: unknown, from: number): boolean => Number.isInteger(value) && Number(value) >= from;
const isSerial = (value: unknown): boolean =>
  isWhole(value, 0) || (typeof value === 'string' && /^\d+(\.\d+)?%$/.test(value) && Number.parseFloat(value) <= 100);

const KEYWORDS = {
  name: required(TEXT),
  /** A pattern over the inventory: `k3s_cluster`, `server[0]`, `server:!node-1`. */
  hosts: required(
    valueType<string>('a pattern, as text: web:!old', (value) => typeof value === 'string' && value !== ''),
  ),
  /** Calls of roles, in order: `[preflight(), firewall({ firewall_policy: 'deny' })]`. */
  roles: required(
    valueType<readonly RoleCall[]>(
      'a list of calls: [role(), other({ ... })]',
      // A role that is not called is a function. It gets a message of its own.
      (value) => Array.isArray(value) && value.every((call) => typeof call === 'function' || call?.role),
    ),
  ),
  /** True: a play whose hosts are not in the inventory is left out. Default: that is an error. */
  optional: BOOLEAN,
  /**
   * How many hosts go through the roles together: a number, a percentage (`"30%"`), or a list of them for growing
   * batches. Default: all.
   */
  serial: valueType<Serial | readonly Serial[]>(
    'a number of hosts, a percentage ("30%"), or a list of them',
    (value) => (Array.isArray(value) ? value.length > 0 && value.every(isSerial) : isSerial(value)),
  ),
  /**
   * `linear` (default): all hosts of a batch finish a stage before any begins the next. `free`: each goes through the
   * roles as fast as it can, and sees the others as they are at that moment. Disruptions go one at a time either way.
   */
  strategy: oneOf('linear', 'free'),
  /** Every task of the play has these tags. */
  tags: STRING_LIST,
  /** Run as root by sudo. Default: true, since the roles need it. `-b` and `ansible_become` override it. */
  become: BOOLEAN,
  /** Variables. They win over the inventory's and lose to `-e`. */
  vars: valueType<Readonly<Record<string, unknown>>>('a mapping of variables: { port: 22 }', isMapping),
  /** A failure on one host ends the play for all. */
  anyErrorsFatal: BOOLEAN,
  /** The play ends when more than this share of a batch failed (0 to 100). */
  maxFailPercentage: valueType<number>(
    'a number from 0 to 100',
    (value) => typeof value === 'number' && value >= 0 && value <= 100,
  ),
  /** At most so many hosts at once, below `--forks`. */
  throttle: valueType<number>('a whole number, 1 or more', (value) => isWhole(value, 1)),
};

/** What {@link play} takes. */
export type PlayDeclaration = OptionsOf<typeof KEYWORDS>;

/** Whether hosts wait for each other. */
export type Strategy = NonNullable<PlayDeclaration['strategy']>;

/** A play. Made by {@link play}. */
export type Play = PlayDeclaration & {
  /** The line of the playbook that made it. */
  readonly at?: Position | undefined;
};

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

/** What is wrong with a play's keywords. Plays are not type-checked when they run, so they may hold anything. */
export function playProblems(play: Play): readonly Problem[] {
  // Without reading `at`: its position takes a source map.
  const names = Object.keys(play).filter((name) => name !== 'at');
  const keywords = Object.fromEntries(names.map((name) => [name, Reflect.get(play, name)]));
  const place = { noun: 'keyword', where: `play "${play.name}"`, at: () => play.at };
  const problems = [...unknownOptions(keywords, KEYWORDS, place), ...invalidOptions(keywords, KEYWORDS, place)];
  if (problems.length > 0) return problems;
  const uncalled = play.roles.filter((call: unknown) => typeof call === 'function');
  return uncalled.map(({ role }) => ({
    what: `play "${play.name}" has ${role ? `the role ${role.name}` : 'a function'} among its roles that is not called`,
    at: play.at,
    expected: 'calls, with variables or without: firewall(), firewall({ firewall_policy: "deny" })',
    hint: `${role?.name ?? 'role'}()`,
  }));
}

/** A playbook: its title and its plays, in order. */
export interface Playbook {
  readonly title: string;
  readonly plays: readonly Play[];
}
