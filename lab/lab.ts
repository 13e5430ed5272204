/**
 * A lab: real Debian hosts on this machine, for tests and for trying things out. `Lab.up` boots one, `Lab.open` finds
 * one that any process booted, `down` takes it away without a trace. See docs/lab.md.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { didYouMean, UserError } from '../engine/errors.ts';
import { aptRepository } from './apt-repository.ts';
import { type K3sSource, k3sVersion, provideK3s } from './artifacts.ts';
import { configureHost, mountRoot } from './boot.ts';
import { groupOfLab, killGroup, removeGroup } from './cgroups.ts';
import { LabHost } from './host.ts';
import { type AccessFiles, accessFiles, makeKey, writeAccess } from './inventory.ts';
import { $, allOf, type Say } from './local.ts';
import { withLock } from './lock.ts';
import { claimMachine, releaseMachine } from './machine.ts';
import { type MirrorFailure, readMirrorConfig, writeMirrorConfig } from './mirror.ts';
import {
  allStates,
  directoryOf,
  gatewayAddress,
  type LabState,
  labDirectory,
  namespaceName,
  readState,
  vipAddress,
} from './names.ts';
import { freeNumber, makeSwitch, removeNetwork } from './network.ts';
import { prepare } from './prepare.ts';
import { rootOf } from './root.ts';
import { mirrorConfigFile, mirrorUrl, startMirror } from './services.ts';
import { type Architecture, completeShape, type LabRequest } from './shape.ts';

/** A lab that is up. */
export class Lab {
  readonly state: LabState;
  readonly hosts: readonly LabHost[];

  private constructor(state: LabState) {
    this.state = state;
    this.hosts = state.shape.hosts.map((_, index) => new LabHost(state, index));
  }

  /**
   * Boots a lab, and returns when every host's sshd answers. The root of each kind of host is made first where the
   * cache hasn't got it.
   *
   * @param request.name What to call it; `default` otherwise.
   * @param say Called with each step. Default: silent.
   * @throws UserError when a lab of this name is up, when the machine can't, when a host doesn't boot. A lab that
   *   didn't come up whole is taken down again.
   */
  static async up(request: LabRequest & { readonly name?: string } = {}, say: Say = () => {}): Promise<Lab> {
    const shape = completeShape(request);
    const name = request.name ?? 'default';
    if (!/^[a-z0-9][a-z0-9-]{0,40}$/.test(name) || name === 'cache') {
      throw new UserError({
        what: `a lab can't be called "${name}"`,
        expected: 'lower-case letters, digits and hyphens; not cache',
      });
    }
    await prepare(shape, say);
    const state = await withLock('machine', async () => {
      if (readState(name)) {
        throw new UserError({ what: `a lab called "${name}" is up`, hint: `npm run lab -- down --name ${name}` });
      }
      const claimed: LabState = { name, number: await freeNumber(), shape };
      mkdirSync(directoryOf(name), { recursive: true });
      writeFileSync(join(directoryOf(name), 'lab.json'), `${JSON.stringify(claimed, null, 2)}\n`);
      await makeSwitch(claimed.number);
      await claimMachine(shape, say);
      return claimed;
    });
    const lab = new Lab(state);
    try {
      const roots: string[] = [];
      // The first time each of these takes minutes, and much of it on one core.
      const reported = (work: Promise<void>) =>
        work.catch((error: unknown) => {
          // At once: the others may take many minutes.
          say(error instanceof Error ? error.message : String(error));
          throw error;
        });
      const making = shape.hosts.map(async ({ arch, ufw }, index) => {
        roots[index] = await rootOf({ arch, ufw }, say);
      });
      await allOf([...making, lab.#provideK3s(say)].map(reported));
      await lab.#fillMirror(roots, say);
      await makeKey(name);
      await allOf(
        shape.hosts.map(async (host, index) => {
          await mountRoot(name, host, roots[index] ?? '');
          await configureHost(state, host);
        }),
      );
      writeAccess(state);
      say(`booting ${shape.hosts.map((host) => host.name).join(', ')}`);
      await allOf([startMirror(state), ...lab.hosts.map((host) => host.start())]);
    } catch (error) {
      await lab.down();
      throw error;
    }
    return lab;
  }

  /** The lab called `name` that is up; throws a UserError that names the labs there are otherwise. */
  static open(name: string): Lab {
    const state = readState(name);
    if (state) return new Lab(state);
    const names = allStates().map((other) => other.name);
    const [only] = names;
    const near = didYouMean(name, names) ?? (names.length === 1 ? only : undefined);
    throw new UserError({
      what: `no lab called "${name}" is up`,
      ...(names.length > 0 ? { expected: names.join(', ') } : {}),
      hint: near ? `--name ${near}` : 'npm run lab -- up',
    });
  }

  get name(): string {
    return this.state.name;
  }

  /** Inventory, key, known hosts, ssh config. */
  get files(): AccessFiles {
    return accessFiles(this.name);
  }

  /** The path of the inventory, in Ansible's INI form. */
  get inventory(): string {
    return this.files.inventory;
  }

  /** The machine's own address in the lab: the hosts' default route. */
  get gateway(): string {
    return gatewayAddress(this.state.number);
  }

  /** An address of the lab's subnet that no host has, for a virtual IP. */
  get vip(): string {
    return vipAddress(this.state.number);
  }

  /** The base URL of the lab's mirror: `<mirror>/v1.36.2+k3s1/k3s`, `<mirror>/v1-release/channels/stable`. */
  get mirror(): string {
    return mirrorUrl(this.state.number);
  }

  /** Has the mirror answer wrongly where the path contains `path`, until {@link mendMirror}. Takes effect at once. */
  breakMirror(path: string, failure: MirrorFailure): void {
    const file = mirrorConfigFile(this.name);
    const config = readMirrorConfig(file);
    writeMirrorConfig(file, { ...config, failures: [{ path, failure }, ...config.failures] });
  }

  /** Has the mirror answer rightly again. */
  mendMirror(): void {
    const file = mirrorConfigFile(this.name);
    writeMirrorConfig(file, { ...readMirrorConfig(file), failures: [] });
  }

  /** Where the k3s that the mirror serves came from; undefined in a lab without k3s. */
  get k3sSource(): K3sSource | undefined {
    return existsSync(this.#k3sSourceFile) ? (readFileSync(this.#k3sSourceFile, 'utf8') as K3sSource) : undefined;
  }

  get #k3sSourceFile(): string {
    return join(directoryOf(this.name), 'k3s-source');
  }

  get #mirrorFiles(): string {
    return join(directoryOf(this.name), 'mirror');
  }

  get #arches(): readonly Architecture[] {
    return [...new Set(this.state.shape.hosts.map((host) => host.arch))];
  }

  /** Puts k3s where the mirror serves it from, where the shape asks for it. */
  async #provideK3s(say: Say): Promise<void> {
    if (!this.state.shape.k3s) return;
    const source = await provideK3s(this.#mirrorFiles, this.#arches, say);
    writeFileSync(this.#k3sSourceFile, source);
    say(
      source === 'stand-in'
        ? `the mirror serves the k3s stand-in as ${k3sVersion}`
        : `the mirror serves k3s ${k3sVersion} (${source})`,
    );
  }

  /** Lays out what else the mirror serves: Debian packages. */
  async #fillMirror(roots: readonly string[], say: Say): Promise<void> {
    const files = this.#mirrorFiles;
    mkdirSync(join(files, 'debian'), { recursive: true });
    for (const arch of this.#arches) {
      const root = roots[this.state.shape.hosts.findIndex((host) => host.arch === arch)] ?? '';
      symlinkSync(await aptRepository(arch, root, say), join(files, 'debian', arch));
    }
    const channels = this.state.shape.k3s ? { stable: k3sVersion, latest: k3sVersion, 'v1.36': k3sVersion } : {};
    writeMirrorConfig(mirrorConfigFile(this.name), { files, channels, failures: [] });
  }

  /** The host called `name`; throws a UserError that names the hosts there are otherwise. */
  host(name: string): LabHost {
    const found = this.hosts.find((host) => host.name === name);
    if (found) return found;
    const names = this.hosts.map((host) => host.name);
    const near = didYouMean(name, names);
    throw new UserError({
      what: `the lab "${this.name}" has no host "${name}"`,
      expected: names.join(', '),
      ...(near ? { hint: `did you mean "${near}"?` } : {}),
    });
  }

  /**
   * Takes the lab down: no process, mount, namespace, control group or file of it stays. Works from what is on disk and
   * in the kernel, so also after the process that booted it was killed at any moment.
   */
  async down(): Promise<void> {
    // What a killed `up` had started may still come in between: a mount, a host about to boot.
    for (let tries = 0; ; tries++) {
      try {
        await this.#remove();
        return;
      } catch (error) {
        if (tries === 5) throw error;
        await sleep(200);
      }
    }
  }

  /** One go at taking everything away; what is gone already is no error. */
  async #remove(): Promise<void> {
    const { name, number } = this.state;
    await killGroup(groupOfLab(number));
    await unmountBelow(directoryOf(name));
    await withLock('machine', async () => {
      await removeNetwork(number);
      await removeGroup(groupOfLab(number));
      for (const host of this.state.shape.hosts)
        rmSync(join(nspawnDirectory, namespaceName(number, host.name)), { recursive: true, force: true });
      await releaseMachine();
      rmSync(directoryOf(name), { recursive: true, force: true });
      if (existsSync(labDirectory()) && readdirSync(labDirectory()).length === 0) rmdirSync(labDirectory());
    });
  }
}

/** Where systemd-nspawn leaves an empty directory for each container that it didn't end itself. */
const nspawnDirectory = '/run/systemd/nspawn/propagate';

/** Unmounts everything mounted below a directory, last first. */
async function unmountBelow(directory: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    const points = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .map((line) => (line.split(' ')[4] ?? '').replace(/\\040/g, ' '))
      .filter((point) => point.startsWith(`${directory}/`))
      .reverse();
    if (points.length === 0) return;
    for (const point of points) {
      // Busy for a moment: the namespaces of killed processes are taken apart in the background.
      const { exitCode, stderr } = await $({ nothrow: true })`umount ${point}`;
      if (exitCode !== 0 && tries === 100) throw new UserError({ what: `can't unmount ${point}: ${stderr.trim()}` });
    }
    await sleep(50);
  }
}
