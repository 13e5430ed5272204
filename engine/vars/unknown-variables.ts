/** Finds misspelt variables: no role reads `k3s_vresion`, so its value would be ignored. */
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
 * A problem for each variable that no role declares, and whose name is almost a declared one or begins with the name of
 * a role (`firewall_prots`). A variable that another value refers to (`{{ k3s_base }}`) is the user's own and no
 * problem.
 */
export function unknownVariables(set: Iterable<NamedDefinition>, roles: readonly DeclaresVars[]): Problem[] {
  const declared = new Set(roles.flatMap((role) => Object.keys(role.vars.properties)));
  // The whole name of a role, since other roles may share its first word (k3s_ of k3s-server).
  const ownPrefixes = roles.map((role) => `${role.name.replaceAll('-', '_')}_`);
  const byPrefix = groupByPrefix(declared);
  const referred = new Set<string>();
  const candidates: { near: string | undefined; given: NamedDefinition }[] = [];
  for (const given of set) {
    collectReferences(given.definition.value, referred);
    if (declared.has(given.name) || given.name.startsWith('ansible_')) continue;
    // The first word may be misspelt: `fierwall_rules`.
    const near = nearest(given.name, byPrefix.get(prefixOf(given.name)) ?? [...declared]);
    const isOwn = ownPrefixes.some((prefix) => given.name.startsWith(prefix));
    if (near !== undefined || isOwn) candidates.push({ near, given });
  }
  return candidates
    .filter(({ given }) => !referred.has(given.name))
    .map(({ near, given: { name, definition } }) => ({
      what: `unknown variable "${name}"${definition.at ? '' : ` (set by ${definition.source})`}`,
      at: definition.at,
      expected: `the variables of the roles: ${(byPrefix.get(prefixOf(name)) ?? [...declared]).join(', ')}`,
      hint: near === undefined ? undefined : `did you mean "${near}"?`,
    }));
}

/** A problem for each variable of a role call that the role does not declare. */
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
 * The declared name that `name` misspells: each part between underscores is equal or similar, or only the underscores
 * differ. `k3s_agent_args` does not misspell `k3s_server_args`.
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
