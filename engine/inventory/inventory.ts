/**
 * Hosts, groups and their variables, Ansible's model. Every value knows the file, line and column it comes from; precedence
 * is resolved when a variable is asked for, so that `why` questions can be answered and nothing is computed for nothing.
 */
import type { Position } from '../errors.ts';
import type { HostView } from '../role.ts';

/** A value and where it was written; `at` is undefined for values from the command line and from playbooks. */
export interface Located {
  readonly value: unknown;
  readonly at: Position | undefined;
  /** What kind of place it is, for messages: `group_vars/all.yml`, `-e`, `play "Every node"`, `role default`. */
  readonly source: string;
}

/** A host of the inventory. */
export interface InventoryHost extends HostView {
  /** Every place that sets `name` for this host, strongest first. Empty when unset. */
  definitions(name: string): readonly Located[];
  /** Every variable set for this host. */
  variableNames(): readonly string[];
  /** Where the host is first named. */
  readonly at: Position | undefined;
}

/** A loaded inventory. Immutable. */
export interface Inventory {
  /** Every host, in the order of the files. */
  readonly hosts: readonly InventoryHost[];
  /** Group names to their hosts (children included), in inventory order. `all` and `ungrouped` are always there. */
  readonly groups: ReadonlyMap<string, readonly InventoryHost[]>;
  /**
   * Hosts that match an Ansible pattern (`:` `,` `&` `!` `[n]` `[a:b]` `~regex` wildcards), in inventory order.
   * @throws UserError on an unknown name (with a suggestion) and on a pattern that is not well formed.
   */
  select(pattern: string): readonly InventoryHost[];
  /** Files it was read from, for messages. */
  readonly files: readonly string[];
}
