/** Reads inventories: files, directories, host lists, `group_vars/`, `host_vars/`, `-e`. */
import { accessSync, constants, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { located, type Problem, UserError } from '../errors.ts';
import { readExtraVars } from './extra-vars.ts';
import { implicitLocalhost, LoadedHost, type Sources, type VarsPlace } from './host.ts';
import { expandHosts } from './host-ranges.ts';
import { readIni } from './ini.ts';
import type { Inventory, InventoryHost, Located } from './inventory.ts';
import { type GroupModel, InventoryModel, type VarSet } from './model.ts';
import { selectHosts } from './patterns.ts';
import { type FolderNotes, readVarsFolder } from './vars-files.ts';
import { readYamlInventory } from './yaml-inventory.ts';

/** Where an inventory is. */
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
  const notes: FolderNotes = { files: [], warnings: [] };
  const folders: string[] = [];
  for (const source of request.sources) {
    const folder = await readSource(source, model, notes.files);
    if (folder !== undefined) folders.push(folder);
  }
  model.finish();
  warnOfSharedNames(model, notes.warnings);
  const extra = await readExtraVars(request.extraVars ?? [], notes);
  const read = new Map<string, VarsPlace>();
  const placeAt = async (folder: string): Promise<VarsPlace> => {
    const known = read.get(folder);
    if (known) return known;
    const place: VarsPlace = {
      groups: await readVarsFolder(join(folder, 'group_vars'), model.groups.keys(), notes),
      hosts: await readVarsFolder(join(folder, 'host_vars'), [...model.hosts.keys(), ...LOCALHOST], notes),
    };
    read.set(folder, place);
    return place;
  };
  const besideInventory: VarsPlace[] = [];
  for (const folder of folders) besideInventory.push(await placeAt(folder));
  const { playbookDirectory } = request;
  const besidePlaybook = playbookDirectory === undefined ? undefined : await placeAt(shortPath(playbookDirectory));
  await warnOfUnread([...read.keys()], model, notes.warnings);
  return new LoadedInventory(model, extra, besideInventory, besidePlaybook, playbookDirectory, notes);
}

/** Variables in the folder one is in are not read where neither an inventory nor the playbook is there: easily overlooked. */
async function warnOfUnread(folders: readonly string[], model: InventoryModel, warnings: Problem[]): Promise<void> {
  if (folders.length === 0 || folders.some((folder) => resolve(folder) === process.cwd())) return;
  const says = async (folder: string, names: Iterable<string>): Promise<boolean> => {
    try {
      const found = await readVarsFolder(folder, names, { files: [], warnings: [] });
      return [...found.values()].some((vars) => vars.size > 0);
    } catch {
      return true;
    }
  };
  const unread = [
    ...((await says('group_vars', model.groups.keys())) ? ['group_vars/'] : []),
    ...((await says('host_vars', model.hosts.keys())) ? ['host_vars/'] : []),
  ];
  if (unread.length === 0) return;
  warnings.push({
    what: `${unread.join(' and ')} in this folder ${unread.length > 1 ? 'are' : 'is'} not read`,
    expected: `variables beside the inventory or the playbook: in ${[...new Set(folders)].join(', ')}`,
    hint: 'put the inventory here, or the variables there',
  });
}

/** A group and a host of one name are told apart by nobody; a group that holds just that host does no harm. */
function warnOfSharedNames(model: InventoryModel, warnings: Problem[]): void {
  for (const group of model.groups.values()) {
    if (!model.hosts.has(group.name)) continue;
    const names = hostNamesOf(model, group);
    if (names.length === 1 && names[0] === group.name) continue;
    warnings.push({
      what: `"${group.name}" is a group and a host; a pattern with this name means the host`,
      at: group.at,
      hint: 'give one of them another name',
    });
  }
}

/** A folder as a person would write it: from the folder they are in, when it is below that. */
function shortPath(folder: string): string {
  const path = relative(process.cwd(), folder);
  return path.startsWith('..') ? folder : path || '.';
}

/** Names that are this machine without being in an inventory (ansible-core `constants.py`, `LOCALHOST`). */
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
      if (port !== undefined) host.vars.set('ansible_port', [{ value: port, at: undefined, source: '-i' }]);
    }
  }
}

/** What an inventory folder holds besides inventories (ansible-core `config/base.yml`, INVENTORY_IGNORE_EXTS). */
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

/** By its name; without an extension by its first line that says something. */
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
  readonly warnings: readonly Problem[];
  readonly #byName: ReadonlyMap<string, InventoryHost>;
  readonly #implicit = new Map<string, InventoryHost>();
  readonly #sources: Sources;

  constructor(
    model: InventoryModel,
    extra: VarSet,
    besideInventory: readonly VarsPlace[],
    besidePlaybook: VarsPlace | undefined,
    playbookDirectory: string | undefined,
    notes: FolderNotes,
  ) {
    let groupNames: Record<string, readonly string[]> | undefined;
    this.#sources = {
      model,
      extra,
      besideInventory,
      besidePlaybook,
      playbookDirectory,
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
    this.files = notes.files;
    this.warnings = notes.warnings;
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

  *allDefinitions(): Iterable<{ readonly name: string; readonly definition: Located }> {
    const { model, extra, besideInventory, besidePlaybook } = this.#sources;
    const places = new Set([...besideInventory, ...(besidePlaybook ? [besidePlaybook] : [])]);
    const sets = [
      extra,
      ...[...places].flatMap((place) => [...place.groups.values(), ...place.hosts.values()]),
      ...[...model.groups.values()].map((group) => group.vars),
      ...[...model.hosts.values()].map((host) => host.vars),
    ];
    for (const set of sets) {
      for (const [name, definitions] of set) for (const definition of definitions) yield { name, definition };
    }
  }
}

/** A group's own hosts as listed, then its children's, then theirs. */
function hostNamesOf(model: InventoryModel, group: GroupModel): string[] {
  const names = new Set<string>();
  let level = [group];
  const seen = new Set(level);
  while (level.length > 0) {
    for (const each of level) for (const name of each.hosts) names.add(name);
    level = level
      .flatMap((each) => [...each.children.keys()].flatMap((name) => model.groups.get(name) ?? []))
      .filter((each) => !seen.has(each) && seen.add(each));
  }
  return [...names];
}
