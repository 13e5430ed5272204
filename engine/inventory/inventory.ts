/**
 * Hosts, groups and their variables: Ansible's model. Every value knows the file, line and column it comes from.
 * Precedence is resolved when a variable is asked for, so that `scripts/why.ts` can explain it and nothing is computed
 * in vain. load.ts reads an inventory.
 */
import type { Position, Problem } from '../errors.ts';
import type { HostView } from '../host-view.ts';

/** One place that sets a variable, and the value it sets. */
export interface VarDefinition {
  /** As written, with `{{ references }}` in it. A connection's password is a Secret already. */
  readonly value: unknown;
  /** Undefined for values from the command line and from playbooks. */
  readonly at: Position | undefined;
  /** The kind of place, for messages: `group_vars/all.yml`, `-e`, `play "Every node"`, `role default`. */
  readonly source: string;
  /** The text of a scalar where it differs from the value: `0644`, which is the number 420. */
  readonly text?: string | undefined;
  /** True where the format has no types (INI, `-e key=value`): a schema may then read {@link text} instead. */
  readonly untyped?: boolean | undefined;
}

/** Variables of a play or of a role call. */
export interface VarLayer {
  /** For messages: `play "Every node"`. */
  readonly source: string;
  readonly vars: Readonly<Record<string, unknown>>;
}

/** A host of the inventory. */
export interface InventoryHost extends HostView {
  /**
   * The value of a variable for this host, references replaced; undefined where it is unset. Ansible's magic variables
   * (`inventory_hostname`, `groups`, `hostvars` ...) are there too.
   * @throws UserError when the value refers to something unset or to itself, or is encrypted.
   */
  var(name: string): unknown;
  /** Every place that sets `name` for this host, strongest first. Empty when unset. */
  definitions(name: string): readonly VarDefinition[];
  /** Every variable set for this host. */
  variableNames(): readonly string[];
  /** Where the host is first named. */
  readonly at: Position | undefined;
  /** True for a `localhost` that the inventory does not name: it is reached without SSH and is in no group. */
  readonly implicit: boolean;
  /** The same host with more variables, strongest layer first. They win over the inventory's and lose to `-e`. */
  withVars(layers: readonly VarLayer[]): InventoryHost;
}

/** A loaded inventory. Immutable. */
export interface Inventory {
  /** Every host, in the order in which the files first name them. */
  readonly hosts: readonly InventoryHost[];
  /**
   * Group names to their hosts: a group's own hosts as listed, then its children's, as in Ansible. `all` (in the order
   * of {@link hosts}) and `ungrouped` are always there.
   */
  readonly groups: ReadonlyMap<string, readonly InventoryHost[]>;
  /** Group names to their direct children, in the order of the files. */
  readonly children: ReadonlyMap<string, readonly string[]>;
  /**
   * Hosts that match an Ansible pattern (`:` `,` `&` `!` `[n]` `[a:b]` `~regex` wildcards), in the order in which the
   * pattern names them. `localhost` can be named without being in the inventory.
   * @throws UserError on an unknown name (with a suggestion) and on a malformed pattern.
   */
  select(pattern: string): readonly InventoryHost[];
  /** The files it was read from, for messages. */
  readonly files: readonly string[];
  /** Every variable set anywhere in the files and by `-e`, to check the names. */
  allDefinitions(): Iterable<{ readonly name: string; readonly definition: VarDefinition }>;
  /** What may be a mistake: a `group_vars/servers.yml` beside a group `server`, two names for one machine. */
  readonly warnings: readonly Problem[];
}
