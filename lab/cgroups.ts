/**
 * Control groups: one per host, in every hierarchy the machine has, `name=systemd` and the unified one included.
 *
 * A host that shared any of them with another would have its kubelet delete the other's pod groups
 * (k3s-observed.md, "What it needs of a lab host"). They are also how the lab finds all of a host's processes: nothing
 * that runs in a host can leave its group, so no pid files are needed. Works with version 1 (one mount per controller),
 * version 2, and both at once.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../engine/errors.ts';

/** One mounted hierarchy of control groups. */
export interface Hierarchy {
  /** Its mount point. */
  readonly path: string;
  readonly version: 1 | 2;
  /** The controllers of a version 1 hierarchy, `name=systemd` for the one without. */
  readonly controllers: readonly string[];
}

/** Every hierarchy mounted on this machine, from `/proc/self/mountinfo` (proc_pid_mountinfo(5)). */
export function hierarchies(): Hierarchy[] {
  const found = new Map<string, Hierarchy>();
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const [type = '', , options = ''] = after.split(' ');
    const [, , , root = '', path = ''] = before.split(' ');
    if (root !== '/' || (type !== 'cgroup' && type !== 'cgroup2')) continue;
    const controllers = options.split(',').filter((option) => option !== 'rw' && option !== 'ro');
    found.set(path, type === 'cgroup2' ? { path, version: 2, controllers: [] } : { path, version: 1, controllers });
  }
  return [...found.values()];
}

/** The group of a whole lab, relative to a hierarchy's mount point. */
export function groupOfLab(number: number): string {
  return join('heartwood', String(number));
}

/** The group of one member of a lab (a host, or `services`), relative to a hierarchy's mount point. */
export function groupOf(number: number, member: string): string {
  return join(groupOfLab(number), member);
}

/**
 * The group that a host boots in; its own systemd manages what is below. Beside it stands {@link groupOutside}: version
 * 2 wants processes in leaves only.
 */
export function groupInside(number: number, host: string): string {
  return join(groupOf(number, host), 'host');
}

/** The group of the processes that tend a host from outside: its power supply, and commands run on it. */
export function groupOutside(number: number, host: string): string {
  return join(groupOf(number, host), 'outside');
}

/** Makes `group` in every hierarchy, and returns the directories. */
export function makeGroup(group: string): string[] {
  return hierarchies().map((hierarchy) => {
    let directory = hierarchy.path;
    for (const part of group.split('/')) {
      if (hierarchy.version === 2) delegate(directory);
      const parent = directory;
      directory = join(directory, part);
      mkdirSync(directory, { recursive: true });
      // A new group of the cpuset controller takes no process until it has processors and memory nodes.
      if (hierarchy.controllers.includes('cpuset')) {
        for (const file of ['cpuset.cpus', 'cpuset.mems']) {
          writeFileSync(join(directory, file), readFileSync(join(parent, file)));
        }
      }
    }
    return directory;
  });
}

/** Hands every controller that the group has on to its children. */
function delegate(directory: string): void {
  const controllers = readFileSync(join(directory, 'cgroup.controllers'), 'utf8').trim().split(' ').filter(Boolean);
  for (const controller of controllers) {
    try {
      writeFileSync(join(directory, 'cgroup.subtree_control'), `+${controller}`);
    } catch {
      // Some can't be handed on (a real-time process in the way of cpu); a host does without those.
    }
  }
}

/** The directories of `group` that exist, one for each hierarchy. */
export function directoriesOf(group: string): string[] {
  return hierarchies()
    .map((hierarchy) => join(hierarchy.path, group))
    .filter((directory) => existsSync(directory));
}

/** The ids of all processes in `group` and below it, in any hierarchy. */
export function processesIn(group: string): number[] {
  const ids = new Set<number>();
  for (const directory of directoriesOf(group)) {
    for (const below of subtree(directory)) {
      for (const line of read(join(below, 'cgroup.procs')).split('\n')) if (line) ids.add(Number(line));
    }
  }
  ids.delete(0); // a process that this process id namespace doesn't see
  return [...ids];
}

/** Kills every process in `group`, also frozen ones, and waits until none is left. */
export async function killGroup(group: string): Promise<void> {
  if (directoriesOf(group).length === 0) return;
  thawAll(group);
  for (let tries = 0; ; tries++) {
    const ids = processesIn(group);
    if (ids.length === 0) return;
    if (tries === 500) throw new UserError({ what: `processes ${ids.join(', ')} of the lab can't be killed` });
    for (const id of ids) {
      try {
        process.kill(id, 'SIGKILL');
      } catch {
        // It ended by itself.
      }
    }
    await sleep(10);
  }
}

/** Removes `group`, which has no processes any more, from every hierarchy, and `heartwood` itself when it is empty. */
export async function removeGroup(group: string): Promise<void> {
  for (const directory of directoriesOf(group)) {
    for (const below of subtree(directory).reverse()) await removeDirectory(below);
  }
  for (const directory of directoriesOf('heartwood')) {
    if (subtree(directory).length === 1) await removeDirectory(directory);
  }
}

/** Removes one group; the kernel calls it busy for a moment after its last process has gone. */
async function removeDirectory(directory: string): Promise<void> {
  for (let tries = 0; existsSync(directory); tries++) {
    try {
      rmdirSync(directory);
    } catch (error) {
      if (tries === 200) throw error;
      await sleep(10);
    }
  }
}

/**
 * Stops every process of `group` where it stands, or lets them go on: the freezer of version 1, `cgroup.freeze` of
 * version 2 (kernel documentation: cgroup-v1/freezer-subsystem.rst, cgroup-v2.rst).
 */
export function setFrozen(group: string, frozen: boolean): void {
  for (const hierarchy of hierarchies()) {
    const directory = join(hierarchy.path, group);
    const isFreezer = hierarchy.controllers.includes('freezer');
    if (isFreezer && existsSync(directory))
      writeFileSync(join(directory, 'freezer.state'), frozen ? 'FROZEN' : 'THAWED');
    const file = join(directory, 'cgroup.freeze');
    if (hierarchy.version === 2 && existsSync(file)) writeFileSync(file, frozen ? '1' : '0');
  }
}

/** Thaws `group` and every group below it that was frozen by itself: frozen processes of version 1 don't even die. */
function thawAll(group: string): void {
  for (const directory of directoriesOf(group)) {
    for (const below of subtree(directory)) {
      for (const [file, text] of [
        ['freezer.state', 'THAWED'],
        ['cgroup.freeze', '0'],
      ] as const) {
        if (existsSync(join(below, file))) writeFileSync(join(below, file), text);
      }
    }
  }
}

/** Whether {@link setFrozen} stopped `group`. */
export function isFrozen(group: string): boolean {
  return directoriesOf(group).some((directory) => {
    const state = join(directory, 'freezer.state');
    const freeze = join(directory, 'cgroup.freeze');
    return read(state).trim().startsWith('FR') || read(freeze).trim() === '1';
  });
}

/** `directory` and all directories below it, parents first; groups that go meanwhile are left out. */
function subtree(directory: string): string[] {
  try {
    const below = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [directory, ...below.flatMap((entry) => subtree(join(directory, entry.name)))];
  } catch {
    return [];
  }
}

/** The text of a file of the control group file system, empty when it has gone. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
