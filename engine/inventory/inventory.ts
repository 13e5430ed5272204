/**
 * Hosts, groups and their variables, Ansible's model. Every value knows the file, line and column it comes from; precedence
 * is resolved when a variable is asked for, so that `why` questions can be answered and nothing is computed for nothing.
 * load.ts reads one.
 */
import type { Position, Problem } from '../errors.ts';
import type { HostView } from '../host-view.ts';

/** A value and where it was written; `at` is undefined for values from the command line and from playbooks. */
export interface Located {
  /** As written, `{{ references }}` still in it. Passwords of connections are Secrets already. */
  readonly value: unknown;
  readonly at: Position | undefined;
  /** What kind of place it is, for messages: `group_vars/all.yml`, `-e`, `play "Every node"`, `role default`. */
  readonly source: string;
  /** A scalar's own text where it differs from the value: `0644` of the number 420. */
  readonly text?: string | undefined;
  /** True where the format has no types (INI, `-e key=value`): a schema may then read {@link text} instead. */
  readonly untyped?: boolean | undefined;
}

/** Variables that a play or a role call brings along. */
export interface VarLayer {
  /** For messages: `play "Every node"`. */
  readonly source: string;
  readonly vars: Readonly<Record<string, unknown>>;
}

/** A host of the inventory. */
export interface InventoryHost extends HostView {
  /**
   * A variable as it holds for this host, references replaced; undefined where unset. Ansible's own `inventory_hostname`,
   * `group_names`, `groups`, `hostvars`, `inventory_dir`, `inventory_file` and `playbook_dir` are there too.
   * @throws UserError when the value refers to something unset, to itself, or is encrypted.
   */
  var(name: string): unknown;
  /** Every place that sets `name` for this host, strongest first. Empty when unset. */
  definitions(name: string): readonly Located[];
  /** Every variable set for this host. */
  variableNames(): readonly string[];
  /** Where the host is first named. */
  readonly at: Position | undefined;
  /** True for a `localhost` that the inventory does not name: it is reached without SSH and is in no group. */
  readonly implicit: boolean;
  /** The same host with further variables, strongest layer first: they win over the inventory's and lose to `-e`. */
  withVars(layers: readonly VarLayer[]): InventoryHost;
}

/** A loaded inventory. Immutable. */
export interface Inventory {
  /** Every host, in the order in which the files first name them. */
  readonly hosts: readonly InventoryHost[];
  /**
   * Group names to their hosts (children included): a group's own hosts as listed, then its children's, as in Ansible.
   * `all` (in the order of {@link hosts}) and `ungrouped` are always there.
   */
  readonly groups: ReadonlyMap<string, readonly InventoryHost[]>;
  /** Group names to their direct children, in the order of the files. */
  readonly children: ReadonlyMap<string, readonly string[]>;
  /**
   * Hosts that match an Ansible pattern (`:` `,` `&` `!` `[n]` `[a:b]` `~regex` wildcards), in the order in which the
   * pattern names them. `localhost` is there without being named in the inventory.
   * @throws UserError on an unknown name (with a suggestion) and on a pattern that is not well formed.
   */
  select(pattern: string): readonly InventoryHost[];
  /** Files it was read from, for messages. */
  readonly files: readonly string[];
  /** Every variable set anywhere in what was read and by `-e`, for checks of names. */
  allDefinitions(): Iterable<{ readonly name: string; readonly definition: Located }>;
  /** What looks like a mistake but need not be one: a `group_vars/servers.yml` beside a group `server`. */
  readonly warnings: readonly Problem[];
}
