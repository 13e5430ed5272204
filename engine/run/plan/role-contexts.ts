/**
 * What the roles of a run are computed from before a host is asked anything: their variables, their modules, the
 * inventory.
 */
import type { Inventory, InventoryHost } from '../../inventory/inventory.ts';
import type { AskContext, RoleBody, RoleCall } from '../../role.ts';
import { strictVars } from '../../vars/strict.ts';
import { type LoadedRoles, loadRoles } from './load-roles.ts';
import type { RoleVars } from './resolve-vars.ts';
import type { PlayRun } from './select-plays.ts';
import type { TagSelection } from './tags.ts';

/** The roles of a run. */
export class RoleContexts {
  readonly #inventory: Inventory;
  readonly #vars: RoleVars;
  readonly #runHosts: readonly InventoryHost[];
  #loaded: LoadedRoles = new Map();

  /** @param runHosts The hosts of all plays, in the inventory's order. */
  constructor(inventory: Inventory, vars: RoleVars, runHosts: readonly InventoryHost[]) {
    this.#inventory = inventory;
    this.#vars = vars;
    this.#runHosts = runHosts;
  }

  /**
   * Loads the modules of the roles that may have something to do.
   * @throws UserError as {@link loadRoles} does.
   */
  async load(plays: readonly PlayRun[], selection: TagSelection): Promise<void> {
    this.#loaded = await loadRoles(plays, selection);
  }

  /** The checks and stages of a role. It has been loaded. */
  bodyOf({ role }: RoleCall): RoleBody {
    const body = this.#loaded.get(role);
    if (!body) throw new Error(`the role ${role.name} is not loaded`);
    return body;
  }

  /** The validated variables of a role call on a host. */
  varsOf({ play }: Pick<PlayRun, 'play'>, call: RoleCall, host: InventoryHost): Readonly<Record<string, unknown>> {
    return this.#vars.get(play)?.get(call)?.get(host.name) ?? {};
  }

  /**
   * What a role's pure functions are given for a host.
   * @param playHosts The hosts that are still in the play.
   */
  contextOf(
    of: Pick<PlayRun, 'play'>,
    call: RoleCall,
    host: InventoryHost,
    playHosts: readonly InventoryHost[],
  ): AskContext<unknown> {
    const vars = strictVars(this.varsOf(of, call, host), call.role);
    return askContext(this.#inventory, host, vars, playHosts, this.#runHosts);
  }
}

/** What is known of a host before it is asked anything. */
export function askContext(
  inventory: Inventory,
  host: InventoryHost,
  vars: Readonly<Record<string, unknown>>,
  playHosts: readonly InventoryHost[],
  runHosts: readonly InventoryHost[],
): AskContext<unknown> {
  const group = (name: string) => inventory.groups.get(name) ?? [];
  return { vars, host, group, inventory: inventory.hosts, playHosts, runHosts };
}
