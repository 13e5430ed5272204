/** Resolves the variables of a playbook's roles: those of role calls and plays, of the inventory, and defaults. */
import type { Problem } from '../errors.ts';
import type { Inventory, InventoryHost } from '../inventory/inventory.ts';
import type { Play } from '../play.ts';
import type { RoleCall } from '../role.ts';
import { undeclaredVariables, unknownVariables } from './unknown-variables.ts';
import { validateVars } from './validate.ts';

/** A role's variables for one host, or everything that is wrong with them. */
export type ResolvedVars =
  | { readonly ok: true; readonly vars: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Resolves a role's variables for a host. The role call's win over the play's, those over the inventory's; `-e` over
 * all.
 */
export type ResolveVars = (host: InventoryHost, call: RoleCall, play: Play) => ResolvedVars;

/**
 * A resolver for `plays`. Misspelt variables anywhere in the inventory are among the problems of every call, so the
 * caller drops repeated ones.
 */
export function resolverFor(plays: readonly Play[], inventory: Inventory): ResolveVars {
  let unknown: readonly Problem[] | undefined;
  return (host, call, play) => {
    unknown ??= unknownIn(plays, inventory);
    const called = { source: `role ${call.role.name}`, vars: call.vars };
    const layers = [called, { source: `play "${play.name}"`, vars: play.vars ?? {} }];
    const { vars, problems } = validateVars(call.role, host.withVars(layers));
    const all = [...unknown, ...undeclaredVariables(called, call.role.vars), ...problems];
    return vars === undefined || all.length > 0 ? { ok: false, problems: all } : { ok: true, vars };
  };
}

function unknownIn(plays: readonly Play[], inventory: Inventory): Problem[] {
  const roles = plays.flatMap((play) => play.roles.map((call) => call.role));
  const ofPlays = plays.flatMap((play) =>
    Object.entries(play.vars ?? {}).map(([name, value]) => ({
      name,
      definition: { value, at: undefined, source: `play "${play.name}"` },
    })),
  );
  return unknownVariables([...inventory.allDefinitions(), ...ofPlays], roles);
}
