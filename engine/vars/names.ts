/** Misspelt variable names: `k3s_vresion` is set, no role reads it, and nothing would ever say so. */
import { didYouMean, type Problem } from '../errors.ts';
import type { VarDefinition, VarLayer } from '../inventory/inventory.ts';
import { isMapping } from '../inventory/yaml.ts';
import type { VarsSchema } from './schema.ts';
import type { DeclaresVars } from './validate.ts';

/** A variable that was set somewhere. */
export interface NamedDefinition {
  readonly name: string;
  readonly definition: VarDefinition;
}

/**
 * Names that are nearly a role's variable, or begin with a role's own name (`firewall_` of the role firewall), and are
 * none of those declared. A name that another value refers to (`{{ k3s_base }}`) is a variable of the user's own.
 */
export function unknownVariables(set: Iterable<NamedDefinition>, roles: readonly DeclaresVars[]): Problem[] {
  const declared = new Set(roles.flatMap((role) => Object.keys(role.vars.properties)));
  // Roles that are not here may share the first word (k3s_ of k3s-server), but hardly the whole name.
  const ownPrefixes = roles.map((role) => `${role.name.replaceAll('-', '_')}_`);
  const byPrefix = groupByPrefix(declared);
  const referred = new Set<string>();
  const suspects: { near: string | undefined; given: NamedDefinition }[] = [];
  for (const given of set) {
    collectReferences(given.definition.value, referred);
    if (declared.has(given.name) || given.name.startsWith('ansible_')) continue;
    // The first word may be misspelt itself: `fierwall_rules`.
    const near = nearest(given.name, byPrefix.get(prefixOf(given.name)) ?? [...declared]);
    const isOwn = ownPrefixes.some((prefix) => given.name.startsWith(prefix));
    if (near !== undefined || isOwn) suspects.push({ near, given });
  }
  return suspects
    .filter(({ given }) => !referred.has(given.name))
    .map(({ near, given: { name, definition } }) => ({
      what: `unknown variable "${name}"${definition.at ? '' : ` (set by ${definition.source})`}`,
      at: definition.at,
      expected: `the variables of the roles: ${(byPrefix.get(prefixOf(name)) ?? [...declared]).join(', ')}`,
      hint: near === undefined ? undefined : `did you mean "${near}"?`,
    }));
}

/** The variables of a role call that the role does not declare. */
export function undeclaredVariables(layer: VarLayer, schema: VarsSchema): Problem[] {
  const declared = Object.keys(schema.properties);
  return Object.keys(layer.vars)
    .filter((name) => !declared.includes(name))
    .map((name) => {
      const near = didYouMean(name, declared);
      return {
        what: `unknown variable "${name}" (set by ${layer.source})`,
        expected: declared.join(', '),
        hint: near && `did you mean "${near}"?`,
      };
    });
}

function groupByPrefix(names: Iterable<string>): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const name of names) groups.set(prefixOf(name), [...(groups.get(prefixOf(name)) ?? []), name]);
  return groups;
}

function prefixOf(name: string): string {
  return name.split('_', 1)[0] ?? name;
}

/**
 * The name that `name` is a slip of: every part of it between underscores is the other's or nearly so, or only the
 * underscores differ. `k3s_agent_args` is no slip of `k3s_server_args`.
 */
function nearest(name: string, candidates: readonly string[]): string | undefined {
  const parts = name.split('_');
  const bare = name.replaceAll('_', '').toLowerCase();
  return (
    candidates.find((candidate) => candidate.replaceAll('_', '').toLowerCase() === bare) ??
    candidates.find((candidate) => {
      const others = candidate.split('_');
      return (
        others.length === parts.length &&
        parts.every((part, i) => part === others[i] || (part.length > 2 && isNear(part, others[i] ?? '')))
      );
    })
  );
}

function isNear(part: string, other: string): boolean {
  return didYouMean(part, [other]) !== undefined && didYouMean(other, [part]) !== undefined;
}

function collectReferences(value: unknown, into: Set<string>): void {
  if (typeof value === 'string') {
    for (const [, name] of value.matchAll(/\{\{\s*([A-Za-z_]\w*)/g)) into.add(name ?? '');
  } else if (Array.isArray(value)) for (const item of value) collectReferences(item, into);
  else if (isMapping(value)) for (const item of Object.values(value)) collectReferences(item, into);
}
