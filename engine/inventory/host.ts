/** A host and its variables. Each variable is resolved when it is asked for. */
import { dirname } from 'node:path';
import { inspect } from 'node:util';
import { type Position, UserError } from '../errors.ts';
import type { InventoryHost, VarDefinition, VarLayer } from './inventory.ts';
import type { GroupModel, HostModel, InventoryModel, VarSet } from './model.ts';
import { LazyMapping, resolveReferences } from './reference.ts';
import { StrictHost } from './strict-host.ts';
import type { VarsByName } from './vars-files.ts';
import { isVaultText, VaultValue, vaultProblem } from './yaml-tags.ts';

/** The variables in `group_vars` and `host_vars` of one directory. */
export interface DirectoryVars {
  readonly groups: VarsByName;
  readonly hosts: VarsByName;
}

/** Where the variables of an inventory's hosts come from. */
export interface VariableSources {
  readonly model: InventoryModel;
  /** `-e`. */
  readonly extra: VarSet;
  /** The directories of the inventories, the last one strongest. */
  readonly besideInventory: readonly DirectoryVars[];
  /** The playbook's directory. */
  readonly besidePlaybook: DirectoryVars | undefined;
  readonly playbookDirectory: string | undefined;
  readonly hostByName: (name: string) => InventoryHost | undefined;
  /** Group names to host names: `groups` in references. */
  readonly groupNames: () => Readonly<Record<string, readonly string[]>>;
}

/** Ansible's magic variables: every host has them, and they cannot be set. */
const MAGIC_VARIABLES: readonly string[] = [
  'inventory_hostname',
  'inventory_hostname_short',
  'group_names',
  'groups',
  'hostvars',
  'inventory_dir',
  'inventory_file',
  'playbook_dir',
];

/**
 * The groups of these names, weakest first: parents before children, then by `ansible_group_priority`, then by name.
 * `all` is not in it. (ansible-core `lib/ansible/inventory/helpers.py` documents this order.)
 */
function byPrecedence(model: InventoryModel, names: Iterable<string>): GroupModel[] {
  const groups = [...names].flatMap((name) => (name === 'all' ? [] : (model.groups.get(name) ?? [])));
  const key = new Map(groups.map((group) => [group, { depth: depthOf(model, group), priority: priorityOf(group) }]));
  const of = (group: GroupModel): { depth: number; priority: number } => key.get(group) ?? { depth: 0, priority: 1 };
  return groups.sort(
    (a, b) =>
      of(a).depth - of(b).depth || of(a).priority - of(b).priority || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
}

const depths = new WeakMap<GroupModel, number>();

function depthOf(model: InventoryModel, group: GroupModel): number {
  const known = depths.get(group);
  if (known !== undefined) return known;
  const parents = [...group.parents].map((name) => {
    const parent = model.groups.get(name);
    return parent ? depthOf(model, parent) + 1 : 0;
  });
  const depth = Math.max(0, ...parents);
  depths.set(group, depth);
  return depth;
}

function priorityOf(group: GroupModel): number {
  const definition = group.vars.get('ansible_group_priority')?.[0];
  if (!definition) return 1;
  const { value, at } = definition;
  if (value instanceof VaultValue || isVaultText(String(value))) {
    throw new UserError(vaultProblem('ansible_group_priority', at));
  }
  const priority = Number(value);
  if (Number.isInteger(priority) && String(value).trim() !== '') return priority;
  throw new UserError({ what: 'ansible_group_priority is not a whole number', at, expected: '1, 2, 10 ...' });
}

/** Every group a host is in, parents included: `all` first, then weakest first. */
function groupsOf(model: InventoryModel, host: HostModel): GroupModel[] {
  const names = new Set<string>();
  const add = (name: string): void => {
    if (names.has(name)) return;
    names.add(name);
    for (const parent of model.groups.get(name)?.parents ?? []) add(parent);
  };
  host.groups.forEach(add);
  const all = model.groups.get('all');
  return [...(all && names.has('all') ? [all] : []), ...byPrecedence(model, names)];
}

/** A host of a loaded inventory. */
export class LoadedHost extends StrictHost implements InventoryHost {
  readonly name: string;
  readonly at: Position | undefined;
  readonly implicit: boolean;
  readonly #model: HostModel;
  readonly #sources: VariableSources;
  readonly #layers: readonly VarLayer[];
  #groupModels: readonly GroupModel[] | undefined;
  #varSets: readonly VarSet[] | undefined;
  readonly #values = new Map<string, unknown>();
  /** Names being resolved, to find values that refer to themselves. */
  readonly #resolving: string[] = [];

  constructor(
    model: HostModel,
    sources: VariableSources,
    options: { implicit?: boolean; layers?: readonly VarLayer[] } = {},
  ) {
    super();
    this.name = model.name;
    this.at = model.at;
    this.implicit = options.implicit ?? false;
    this.#model = model;
    this.#sources = sources;
    this.#layers = options.layers ?? [];
  }

  /** Weakest first. */
  get #groups(): readonly GroupModel[] {
    this.#groupModels ??= groupsOf(this.#sources.model, this.#model);
    return this.#groupModels;
  }

  get groups(): readonly string[] {
    return this.#groups.map((group) => group.name);
  }

  get address(): string {
    const address = this.var('ansible_host') ?? this.var('ansible_ssh_host');
    return address === undefined || address === null ? this.name : String(address);
  }

  get port(): number {
    const written = this.var('ansible_port') ?? this.var('ansible_ssh_port') ?? 22;
    const port = Number(written);
    if (Number.isInteger(port) && port > 0 && port < 65536) return port;
    const [definition] = [...this.definitions('ansible_port'), ...this.definitions('ansible_ssh_port')];
    throw new UserError({
      what: `ansible_port is not a port: ${String(written)}`,
      at: definition?.at,
      host: definition?.at ? undefined : this.name,
      expected: 'a whole number, 1 to 65535',
    });
  }

  /** For console.log, which looks for properties that a {@link StrictHost} refuses. */
  [inspect.custom](): string {
    return `host ${this.name}`;
  }

  withVars(layers: readonly VarLayer[]): InventoryHost {
    if (layers.length === 0) return this;
    const all = [...layers, ...this.#layers];
    return new LoadedHost(this.#model, this.#sources, { implicit: this.implicit, layers: all });
  }

  variableNames(): readonly string[] {
    const names = new Set<string>();
    for (const set of this.#sets) for (const name of set.keys()) names.add(name);
    for (const layer of this.#layers) for (const name of Object.keys(layer.vars)) names.add(name);
    return [...names].sort();
  }

  definitions(name: string): readonly VarDefinition[] {
    const layers = this.#layers.flatMap(({ source, vars }): VarDefinition[] =>
      vars[name] === undefined ? [] : [{ value: vars[name], at: undefined, source }],
    );
    const [extra = [], ...rest] = this.#sets.map((set) => set.get(name) ?? []);
    return [...new Set([...extra, ...layers, ...rest.flat()])];
  }

  /**
   * Every set of variables, strongest first (https://docs.ansible.com, "Understanding variable precedence"): `-e`, the
   * host's (playbook's host_vars, inventory's host_vars, inventory), groups' files (playbook's, inventory's, each the
   * deepest group first), those of `all`, groups in the inventory itself, `all` in it.
   */
  get #sets(): readonly VarSet[] {
    this.#varSets ??= this.#findSets();
    return this.#varSets;
  }

  #findSets(): readonly VarSet[] {
    const { extra, besideInventory, besidePlaybook } = this.#sources;
    const inventories = [...besideInventory].reverse();
    const directories = [...(besidePlaybook ? [[besidePlaybook]] : []), inventories];
    const strongestFirst = [...this.#groups].reverse();
    const groups = strongestFirst.filter((group) => group.name !== 'all');
    const all = strongestFirst.filter((group) => group.name === 'all');
    const ofFiles = (which: readonly GroupModel[]): (VarSet | undefined)[] =>
      directories.flatMap((dirs) => dirs.flatMap((dir) => which.map((group) => dir.groups.get(group.name))));
    const sets = [
      extra,
      ...directories.flat().map((dir) => dir.hosts.get(this.name)),
      this.#model.vars,
      ...ofFiles(groups),
      ...ofFiles(all),
      ...[...groups, ...all].map((group) => group.vars),
    ];
    return sets.flatMap((set) => set ?? []);
  }

  var(name: string): unknown {
    if (this.#values.has(name)) return this.#values.get(name);
    const value = this.#resolve(name);
    this.#values.set(name, value);
    return value;
  }

  #resolve(name: string): unknown {
    if (MAGIC_VARIABLES.includes(name)) return this.#magicVariable(name);
    const [definition] = this.definitions(name);
    if (!definition) return undefined;
    if (this.#resolving.includes(name)) {
      const cycle = [...this.#resolving.slice(this.#resolving.indexOf(name)), name];
      const what =
        cycle.length === 2
          ? `${name} refers to itself`
          : `${cycle[0]} refers to itself, by way of ${cycle.slice(1).join(' > ')}`;
      throw new UserError({ what, at: definition.at, host: definition.at ? undefined : this.name });
    }
    this.#resolving.push(name);
    try {
      const origin = { name: definition.at ? name : `${name} (set by ${definition.source})`, at: definition.at };
      return resolveReferences(definition.value, origin, (other) => this.var(other));
    } finally {
      this.#resolving.pop();
    }
  }

  #magicVariable(name: string): unknown {
    const { source } = this.#model;
    switch (name) {
      case 'inventory_hostname':
        return this.name;
      case 'inventory_hostname_short':
        return this.name.split('.')[0];
      case 'group_names':
        return this.groups.filter((group) => group !== 'all').sort();
      case 'groups':
        return this.#sources.groupNames();
      case 'hostvars':
        return new LazyMapping((other) => {
          const host = other === this.name ? this : this.#sources.hostByName(other);
          return host && new LazyMapping((variable) => host.var(variable));
        });
      case 'inventory_file':
        return source;
      case 'inventory_dir':
        return source === undefined ? undefined : dirname(source);
      default:
        return this.#sources.playbookDirectory;
    }
  }
}

/** `localhost` that the inventory does not name: reached without SSH, with the variables of `all`, in no group. */
export function implicitLocalhost(name: string, sources: VariableSources): LoadedHost {
  const source = 'implicit localhost';
  const vars: VarSet = new Map([['ansible_connection', [{ value: 'local', at: undefined, source }]]]);
  const model: HostModel = { name, at: undefined, source: undefined, groups: new Set(['all']), vars };
  return new LoadedHost(model, sources, { implicit: true });
}
