/** An inventory while it is read: groups, hosts, memberships, and where each variable is set. */
import { type Position, UserError } from '../errors.ts';
import { Secret } from '../secret.ts';
import type { VarDefinition } from './inventory.ts';
import { isVaultText, UnsafeText } from './yaml-tags.ts';

/** Variables of one host or group from one kind of place: each name with its definitions, strongest (latest) first. */
export type VarSet = Map<string, VarDefinition[]>;

/** A group while it is read. */
export interface GroupModel {
  readonly name: string;
  /** Where it is first named; undefined for `all` and `ungrouped` until a file names them. */
  at: Position | undefined;
  /** Names of its own hosts, as listed. */
  readonly hosts: Set<string>;
  /** Child groups and where each is listed. */
  readonly children: Map<string, Position | undefined>;
  readonly parents: Set<string>;
  readonly vars: VarSet;
}

/** A host while it is read. */
export interface HostModel {
  readonly name: string;
  readonly at: Position | undefined;
  /** The inventory source that names it first. */
  readonly source: string | undefined;
  readonly groups: Set<string>;
  readonly vars: VarSet;
}

/** Everything read so far. */
export class InventoryModel {
  readonly groups = new Map<string, GroupModel>();
  readonly hosts = new Map<string, HostModel>();

  constructor() {
    this.group('all', undefined);
    this.group('ungrouped', undefined);
    this.child('all', 'ungrouped', undefined);
  }

  /** The group of this name, created if it is new. */
  group(name: string, at: Position | undefined): GroupModel {
    let group = this.groups.get(name);
    if (!group) {
      group = { name, at, hosts: new Set(), children: new Map(), parents: new Set(), vars: new Map() };
      this.groups.set(name, group);
    }
    group.at ??= at;
    return group;
  }

  /** Adds a host to a group, and creates what is new of both. */
  host(name: string, groupName: string, at: Position | undefined, source: string | undefined): HostModel {
    let host = this.hosts.get(name);
    if (!host) {
      host = { name, at, source, groups: new Set(), vars: new Map() };
      this.hosts.set(name, host);
    }
    host.groups.add(groupName);
    this.group(groupName, at).hosts.add(name);
    return host;
  }

  /** Adds the group `child` to `parent`. @throws UserError when they would contain each other. */
  child(parent: string, child: string, at: Position | undefined): void {
    this.group(parent, at);
    this.group(child, at);
    const path = this.#pathDown(child, parent);
    if (path) {
      throw new UserError({
        what: `group "${parent}" cannot contain "${child}": that is a cycle, ${[parent, ...path].join(' > ')}`,
        at,
        expected: 'groups that do not contain each other',
        hint: `remove "${child}" from the children of "${parent}", or one of the other links`,
      });
    }
    const { children } = this.group(parent, at);
    if (!children.has(child)) children.set(child, at);
    this.group(child, at).parents.add(parent);
  }

  /** The path from a group down to one it contains, both included. */
  #pathDown(from: string, to: string, seen = new Set<string>()): string[] | undefined {
    if (from === to) return [from];
    seen.add(from);
    for (const child of this.groups.get(from)?.children.keys() ?? []) {
      const path = seen.has(child) ? undefined : this.#pathDown(child, to, seen);
      if (path) return [from, ...path];
    }
    return undefined;
  }

  /** Completes what was read: every group is under `all`, a host without a group is in `ungrouped`. */
  finish(): void {
    for (const group of this.groups.values()) {
      if (group.name !== 'all' && group.parents.size === 0) this.child('all', group.name, group.at);
    }
    const all = this.group('all', undefined);
    const ungrouped = this.group('ungrouped', undefined);
    for (const host of this.hosts.values()) {
      all.hosts.add(host.name);
      host.groups.add('all');
      const elsewhere = [...host.groups].some((name) => name !== 'all' && name !== 'ungrouped');
      if (elsewhere) {
        ungrouped.hosts.delete(host.name);
        host.groups.delete('ungrouped');
      } else {
        ungrouped.hosts.add(host.name);
        host.groups.add('ungrouped');
      }
    }
  }
}

/** Names of a group's own hosts as listed, then of its children's, then of theirs. */
export function hostNamesOf(model: InventoryModel, group: GroupModel): string[] {
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

/**
 * Adds a definition, which wins over the earlier ones of its name. The value of a password variable becomes a Secret.
 */
export function setVar(vars: VarSet, name: string, definition: VarDefinition): void {
  const added = isPasswordName(name) ? withSecret(definition) : definition;
  const known = vars.get(name);
  if (known) known.unshift(added);
  else vars.set(name, [added]);
}

/** True for Ansible's password variables: `ansible_password`, `ansible_become_pass`, `ansible_sudo_pass`. */
export function isPasswordName(name: string): boolean {
  return /^ansible_(\w+_)?pass(word|wd|phrase)?$/.test(name);
}

/** The definition of a password, its value a Secret. A reference stays as it is, and so does an encrypted value. */
function withSecret(definition: VarDefinition): VarDefinition {
  const { value: written, text, ...rest } = definition;
  const value = written instanceof UnsafeText ? written.text : written;
  if (typeof value === 'string') {
    const isResolvedLater = written === value && (value.includes('{{') || isVaultText(value));
    return isResolvedLater ? definition : { ...rest, value: new Secret(value) };
  }
  // `ansible_password=[1]` is a list to INI's rules, and a password here.
  const isText = typeof value === 'number' || typeof value === 'boolean' || (definition.untyped && value !== null);
  return isText ? { ...rest, value: new Secret(text ?? String(value)) } : definition;
}
