/** What the readers of inventory files fill: groups, hosts, who belongs where, which variable was set where. */
import { type Position, UserError } from '../errors.ts';
import { Secret } from '../secret.ts';
import type { Located } from './inventory.ts';

/** Variables of one host or group from one kind of place; each name with every definition, strongest (latest) first. */
export type VarSet = Map<string, Located[]>;

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

  /** The group, made when it is new. */
  group(name: string, at: Position | undefined): GroupModel {
    let group = this.groups.get(name);
    if (!group) {
      group = { name, at, hosts: new Set(), children: new Map(), parents: new Set(), vars: new Map() };
      this.groups.set(name, group);
    }
    group.at ??= at;
    return group;
  }

  /** Names a host in a group. */
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

  /** Lists `child` under `parent`. @throws UserError when that closes a circle. */
  child(parent: string, child: string, at: Position | undefined): void {
    this.group(parent, at);
    this.group(child, at);
    const path = this.#pathDown(child, parent);
    if (path) {
      throw new UserError({
        what: `group "${parent}" cannot contain "${child}": that makes a circle, ${[parent, ...path].join(' > ')}`,
        at,
        expected: 'groups that do not contain each other',
        hint: `remove "${child}" from the children of "${parent}", or one of the other links`,
      });
    }
    const { children } = this.group(parent, at);
    if (!children.has(child)) children.set(child, at);
    this.group(child, at).parents.add(parent);
  }

  /** The way from a group down to one it contains, both ends included. */
  #pathDown(from: string, to: string, seen = new Set<string>()): string[] | undefined {
    if (from === to) return [from];
    seen.add(from);
    for (const child of this.groups.get(from)?.children.keys() ?? []) {
      const path = seen.has(child) ? undefined : this.#pathDown(child, to, seen);
      if (path) return [from, ...path];
    }
    return undefined;
  }

  /** What must hold once everything is read: every group under `all`, hosts without a group in `ungrouped`. */
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

/** Adds a definition that is stronger than those of its name so far. A password is a Secret from here on. */
export function setVar(vars: VarSet, name: string, definition: Located): void {
  const closed = isPasswordName(name) ? closeSecret(definition) : definition;
  const known = vars.get(name);
  if (known) known.unshift(closed);
  else vars.set(name, [closed]);
}

/** True for the variables in which Ansible takes passwords: `ansible_password`, `ansible_become_pass`, `ansible_sudo_pass`. */
export function isPasswordName(name: string): boolean {
  return /^ansible_(\w+_)?pass(word|wd|phrase)?$/.test(name);
}

/** A password as written; a reference to another variable stays readable, since it is replaced later. */
function closeSecret(definition: Located): Located {
  const { value, text, ...rest } = definition;
  if (typeof value === 'string' && value.includes('{{')) return definition;
  const plain = typeof value === 'string' ? value : (text ?? (typeof value === 'number' ? String(value) : undefined));
  return plain === undefined ? definition : { ...rest, value: new Secret(plain) };
}
