/**
 * Where a lab's things are, and what they are called. Everything the kernel holds for a lab bears the lab's number
 * (network namespaces, links, cgroups), and everything on disk stands below one directory, so that `down` finds it all
 * with no more than the lab's name.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LabShape } from './shape.ts';

/** The repository's root. */
export const repository = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/**
 * The directory of all labs: `.lab` in the repository, or `HEARTWOOD_LAB_DIR` (so that several clones share the roots
 * in its `cache/`).
 */
export function labDirectory(): string {
  return resolve(process.env['HEARTWOOD_LAB_DIR'] ?? join(repository, '.lab'));
}

/** Where made roots, packages and k3s artifacts are kept between labs. */
export function cacheDirectory(): string {
  return join(labDirectory(), 'cache');
}

/** What is written to `lab.json` when a lab comes up; with it any process can use the lab or take it down. */
export interface LabState {
  readonly name: string;
  /** The third byte of the lab's subnet, and its number in every kernel name. */
  readonly number: number;
  readonly shape: LabShape;
}

/** The directory of one lab. */
export function directoryOf(lab: string): string {
  return join(labDirectory(), lab);
}

/** The directory of one host of a lab: its disk image, mounts, boot script and console log. */
export function directoryOfHost(lab: string, host: string): string {
  return join(directoryOf(lab), host);
}

/** The state of the lab called `name`, or undefined when there is none. */
export function readState(name: string): LabState | undefined {
  const file = join(directoryOf(name), 'lab.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as LabState) : undefined;
}

/** The states of all labs below {@link labDirectory}, by name. */
export function allStates(): LabState[] {
  if (!existsSync(labDirectory())) return [];
  const names = readdirSync(labDirectory()).filter((name) => name !== 'cache');
  return names.sort().flatMap((name) => readState(name) ?? []);
}

/** The machine's end of the lab: a link of this name, and the network namespace with the lab's bridge. */
export function switchName(number: number): string {
  return `hwlab${number}`;
}

/** The network namespace of the host with this index. */
export function namespaceName(number: number, host: string): string {
  return `${switchName(number)}-${host}`;
}

/** The bridge's port of the host with this index. */
export function portName(index: number): string {
  return `port${index + 1}`;
}

/** The first three bytes of the lab's addresses: `10.89.7`. */
export function subnetOf(number: number): string {
  return `10.89.${number}`;
}

/** The machine's address in the lab, which is also the hosts' default route, and where the mirror listens. */
export function gatewayAddress(number: number): string {
  return `${subnetOf(number)}.1`;
}

/** An address of a lab's subnet that no host has, for a virtual IP. */
export function vipAddress(number: number): string {
  return `${subnetOf(number)}.100`;
}

/** The address of the host with this index: `.11`, `.12`, ... */
export function hostAddress(number: number, index: number): string {
  return `${subnetOf(number)}.${11 + index}`;
}

/** The link address of the host with this index; locally administered, the same at every boot. */
export function hostMac(number: number, index: number): string {
  const byte = (value: number) => value.toString(16).padStart(2, '0');
  return `02:89:00:${byte(number)}:00:${byte(11 + index)}`;
}
