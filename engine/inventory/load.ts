/** Reads inventories: files, directories, host lists, `group_vars/`, `host_vars/`, `-e`. */
import { accessSync, constants, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { located, type Problem, UserError } from '../errors.ts';
import { readExtraVars } from './extra-vars.ts';
import { type DirectoryVars, implicitLocalhost, LoadedHost, type VariableSources } from './host.ts';
import { expandHosts } from './host-ranges.ts';
import { readIni } from './ini.ts';
import type { Inventory, InventoryHost, VarDefinition } from './inventory.ts';
import { hostNamesOf, InventoryModel, setVar } from './model.ts';
import { selectHosts } from './patterns.ts';
import { type ReadLog, readVarsFolder } from './vars-files.ts';
import { contradictions, sharedNames, unreadVars } from './warnings.ts';
import { readYamlInventory } from './yaml-inventory.ts';
import { isVaultText, vaultProblem } from './yaml-tags.ts';

/** What to load. */
export interface InventoryRequest {
  /** `-i`: files, directories, or host lists (`a,b`, `a,`). Later ones win over earlier ones. */
  readonly sources: readonly string[];
  /** `-e`, as given: `name=value`, a JSON or YAML mapping, `@file`. */
  readonly extraVars?: readonly string[] | undefined;
  /** The playbook's folder: its `group_vars` and `host_vars` win over those beside the inventory. */
  readonly playbookDirectory?: string | undefined;
}

/**
 * Loads an inventory. Without sources it has no hosts but `localhost`.
 * @throws UserError with everything that is wrong in the first file that has something wrong.
 */
export async function loadInventory(request: InventoryRequest): Promise<Inventory> {
  const model = new InventoryModel();
  const log: ReadLog = { files: [], warnings: [] };
  const folders: string[] = [];
  for (const source of request.sources) {
    const folder = await readSource(source, model, log.files);
    if (folder !== undefined) folders.push(folder);
  }
  model.finish();
  log.warnings.push(...sharedNames(model), ...contradictions(model));
  const extra = await readExtraVars(request.extraVars ?? [], log);
  const read = new Map<string, DirectoryVars>();
  const varsIn = async (folder: string): Promise<DirectoryVars> => {
    const known = read.get(folder);
    if (known) return known;
    const vars: DirectoryVars = {
      groups: await readVarsFolder(join(folder, 'group_vars'), model.groups.keys(), log),
      hosts: await readVarsFolder(join(folder, 'host_vars'), [...model.hosts.keys(), ...LOCALHOST], log),
    };
    read.set(folder, vars);
    return vars;
  };
  const besideInventory: DirectoryVars[] = [];
  for (const folder of folders) besideInventory.push(await varsIn(folder));
  const { playbookDirectory } = request;
  const besidePlaybook = playbookDirectory === undefined ? undefined : await varsIn(shortPath(playbookDirectory));
  log.warnings.push(...(await unreadVars([...read.keys()], model)));
  return new LoadedInventory({ model, extra, besideInventory, besidePlaybook, playbookDirectory }, log);
}

/** A folder as a person would write it: relative to the current folder where it is below that. */
function shortPath(folder: string): string {
  const path = relative(process.cwd(), folder);
  return path.startsWith('..') ? folder : path || '.';
}

/** Names of this machine that need not be in an inventory (ansible-core `constants.py`, `LOCALHOST`). */
const LOCALHOST = ['localhost', '127.0.0.1', '::1'];

/** Reads one source; returns the folder whose `group_vars` belong to it. */
async function readSource(source: string, model: InventoryModel, files: string[]): Promise<string | undefined> {
  const stat = statSync(source, { throwIfNoEntry: false });
  if (!stat && source.includes(',')) {
    readHostList(source, model);
    return undefined;
  }
  if (!stat) {
    throw new UserError({
      what: `the inventory ${source} does not exist`,
      expected: 'an inventory file or folder, or a list of hosts with a comma in it',
      hint: /^[\w.-]+$/.test(source) ? `for a host called ${source}: -i ${source},` : undefined,
    });
  }
  if (!stat.isDirectory()) {
    await readInventoryFile(source, model, files);
    return dirname(source);
  }
  const before = files.length;
  for (const file of inventoryFilesIn(source)) await readInventoryFile(file, model, files);
  if (files.length === before) throw new UserError({ what: `the folder ${source} holds no inventory` });
  return source;
}

function readHostList(source: string, model: InventoryModel): void {
  for (const pattern of source.split(',').map((part) => part.trim())) {
    if (pattern === '') continue;
    const { names, port } = located(() => expandHosts(pattern), undefined);
    for (const name of names) {
      const host = model.host(name, 'ungrouped', undefined, undefined);
      if (port !== undefined) setVar(host.vars, 'ansible_port', { value: port, at: undefined, source: '-i' });
    }
  }
}

/** What is no inventory in an inventory folder (ansible-core `config/base.yml`, INVENTORY_IGNORE_EXTS). */
const IGNORED = /^\.|^(host_vars|group_vars|vars_plugins)$|(\.(pyc|pyo|swp|bak|rpm|md|txt|rst|orig|cfg|retry)|~)$/;

function inventoryFilesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((entry) => !IGNORED.test(entry))
    .sort()
    .map((entry) => join(folder, entry))
    .flatMap((path) => (statSync(path).isDirectory() ? inventoryFilesIn(path) : [path]));
}

async function readInventoryFile(file: string, model: InventoryModel, files: string[]): Promise<void> {
  const text = readText(file);
  files.push(file);
  if (text.startsWith('#!') || /\.(py|sh|toml)$/.test(file)) {
    throw new UserError({
      what: `${file} is ${file.endsWith('.toml') ? 'a TOML inventory' : 'an inventory script'}, which Heartwood does not read`,
      hint: 'write its answer to a file: ansible-inventory --list --yaml --output hosts.yml',
    });
  }
  if (isVaultText(text)) throw new UserError(vaultProblem('the inventory', { file, line: 1, column: 1 }));
  if (looksLikeYaml(file, text)) await readYamlInventory(text, file, model);
  else readIni(text, file, model);
}

function readText(file: string): string {
  try {
    accessSync(file, constants.R_OK);
    return readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new UserError({ what: `the inventory ${file} cannot be read (${why})` });
  }
}

/** Decided by the extension; without one, by the first line that is not empty or a comment. */
function looksLikeYaml(file: string, text: string): boolean {
  if (/\.(yml|yaml|json)$/.test(file)) return true;
  if (/\.[^./]+$/.test(file)) return false;
  const first = text.split('\n').find((line) => /^\s*[^\s#;]/.test(line)) ?? '';
  return /^(---|\{|["']?[\w.-]+["']?\s*:(\s|$))/.test(first.trim());
}

class LoadedInventory implements Inventory {
  readonly hosts: readonly InventoryHost[];
  readonly groups: ReadonlyMap<string, readonly InventoryHost[]>;
  readonly children: ReadonlyMap<string, readonly string[]>;
  readonly files: readonly string[];
  readonly #log: ReadLog;
  readonly #byName: ReadonlyMap<string, InventoryHost>;
  readonly #implicit = new Map<string, InventoryHost>();
  readonly #sources: VariableSources;

  constructor(sources: Omit<VariableSources, 'hostByName' | 'groupNames'>, log: ReadLog) {
    const { model } = sources;
    let groupNames: Record<string, readonly string[]> | undefined;
    this.#sources = {
      ...sources,
      hostByName: (name) => this.#byName.get(name),
      groupNames: () => {
        groupNames ??= Object.fromEntries(
          [...this.groups].map(([name, hosts]) => [name, hosts.map((host) => host.name)]),
        );
        return groupNames;
      },
    };
    this.#byName = new Map([...model.hosts.values()].map((host) => [host.name, new LoadedHost(host, this.#sources)]));
    this.hosts = [...this.#byName.values()];
    this.groups = new Map(
      [...model.groups.values()].map((group) => [
        group.name,
        group.name === 'all' ? this.hosts : this.#hostsOf(hostNamesOf(model, group)),
      ]),
    );
    this.children = new Map([...model.groups.values()].map((group) => [group.name, [...group.children.keys()]]));
    this.files = log.files;
    this.#log = log;
  }

  get warnings(): readonly Problem[] {
    return this.#log.warnings;
  }

  #hostsOf(names: readonly string[]): InventoryHost[] {
    return names.flatMap((name) => this.#byName.get(name) ?? []);
  }

  select(pattern: string): readonly InventoryHost[] {
    return selectHosts(pattern, {
      hosts: this.#byName,
      groups: this.groups,
      implicit: (name) => (LOCALHOST.includes(name) ? this.#localhost(name) : undefined),
    });
  }

  #localhost(name: string): InventoryHost {
    const host = this.#implicit.get(name) ?? implicitLocalhost(name, this.#sources);
    this.#implicit.set(name, host);
    return host;
  }

  *allDefinitions(): Iterable<{ readonly name: string; readonly definition: VarDefinition }> {
    const { model, extra, besideInventory, besidePlaybook } = this.#sources;
    const directories = new Set([...besideInventory, ...(besidePlaybook ? [besidePlaybook] : [])]);
    const sets = [
      extra,
      ...[...directories].flatMap(({ groups, hosts }) => [...groups.values(), ...hosts.values()]),
      ...[...model.groups.values()].map((group) => group.vars),
      ...[...model.hosts.values()].map((host) => host.vars),
    ];
    for (const set of sets) {
      for (const [name, definitions] of set) for (const definition of definitions) yield { name, definition };
    }
  }
}
