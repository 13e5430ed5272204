/** One host of a lab that is up: what tests and the command line do with it. */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../engine/errors.ts';
import { powerOn } from './boot.ts';
import { directoriesOf, groupOf, groupOutside, isFrozen, killGroup, processesIn, setFrozen } from './cgroups.ts';
import { clockSkew, preload, restoreClock, skewClock } from './clock.ts';
import { type DroppedPort, filterState, machinePort, setCut, setDropped } from './filter.ts';
import { localEnvironment } from './local.ts';
import { directoryOfHost, hostAddress, hostMac, type LabState, portName } from './names.ts';
import type { HostShape } from './shape.ts';

/** How a command on a host went. */
export interface ExecResult {
  /** Its exit code; 128 + the signal's number when a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Packets to a port, see {@link LabHost.drop}. */
export interface PortFault {
  readonly port: number;
  /** `tcp` otherwise. */
  readonly proto?: 'tcp' | 'udp';
  /** A host's name, or `machine`; everyone otherwise. */
  readonly from?: string | undefined;
}

/** A host of a lab. Methods that change its power wait until the change is complete. */
export class LabHost {
  /** What it was asked to be. */
  readonly shape: HostShape;
  readonly #state: LabState;
  readonly #index: number;

  constructor(state: LabState, index: number) {
    const shape = state.shape.hosts[index];
    if (!shape) throw new RangeError(`lab ${state.name} has no host ${index}`);
    this.shape = shape;
    this.#state = state;
    this.#index = index;
  }

  get name(): string {
    return this.shape.name;
  }

  /** Its IPv4 address in the lab. */
  get address(): string {
    return hostAddress(this.#state.number, this.#index);
  }

  /** Its link address, the same at every boot. */
  get mac(): string {
    return hostMac(this.#state.number, this.#index);
  }

  /** Its port on the lab's bridge. */
  get port(): string {
    return portName(this.#index);
  }

  /** Where its disk, root, console log and boot script are on this machine. */
  get directory(): string {
    return directoryOfHost(this.#state.name, this.name);
  }

  /** What the machine's side of its console printed, since the first boot. */
  get console(): string {
    return readFileSync(join(this.directory, 'console.log'), 'utf8');
  }

  /** Whether it is on, off, or stopped where it stands. */
  get power(): 'on' | 'off' | 'frozen' {
    if (this.#leader() === undefined) return 'off';
    return isFrozen(this.#group) ? 'frozen' : 'on';
  }

  /**
   * Runs a shell command on the host as root, not by ssh: it works whatever the host's network and sshd are like.
   * Never throws for the command's exit code. Throws a UserError when the host is off or frozen.
   */
  async exec(command: string, options: { input?: string | Buffer } = {}): Promise<ExecResult> {
    const leader = this.#leader();
    if (leader === undefined) throw new UserError({ what: 'the host is off', host: this.name, hint: 'start it' });
    if (isFrozen(this.#group)) throw new UserError({ what: 'the host is frozen', host: this.name, hint: 'thaw it' });
    // Into its control groups first, so that it is frozen and killed with the host; without the right to set the clock.
    const outside = directoriesOf(groupOutside(this.#state.number, this.name));
    const shifted = clockSkew(this.#root) === undefined ? '' : `${preload(this.shape.arch)} `;
    const enter = `for group in ${outside.join(' ')}; do echo 0 > "$group/cgroup.procs"; done
exec setpriv --bounding-set=-sys_time nsenter --target ${leader} --mount --uts --ipc --net --pid --cgroup -- /usr/bin/env -i -C / ${shifted}HOME=/root USER=root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /bin/sh -c "$1"`;
    const child = spawn('sh', ['-c', enter, 'sh', command], { stdio: ['pipe', 'pipe', 'pipe'], env: localEnvironment });
    child.stdin.on('error', () => {}); // the command may end without reading
    child.stdin.end(options.input ?? '');
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    const code = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (exitCode, signal) => resolve(exitCode ?? (signal === 'SIGKILL' ? 137 : 143)));
    });
    return { code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
  }

  /** The output of a command that must succeed, without its last newline; throws with what it printed when it fails. */
  async read(command: string): Promise<string> {
    const { code, stdout, stderr } = await this.exec(command);
    if (code !== 0) {
      throw new Error(`${this.name}: exit code ${code} from: ${command}\n${stderr.trim() || stdout.trim()}`);
    }
    return stdout.replace(/\n$/, '');
  }

  /** Whether sshd answers from this machine within `timeoutMs`. */
  async answers(timeoutMs = 1000): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect({ host: this.address, port: this.shape.ssh_port, timeout: timeoutMs });
      const end = (answered: boolean) => {
        socket.destroy();
        resolve(answered);
      };
      socket.once('data', (banner) => end(banner.toString().startsWith('SSH-')));
      socket.once('error', () => end(false));
      socket.once('close', () => end(false));
      socket.once('timeout', () => end(false));
    });
  }

  /** Turns it on and waits until sshd answers, at most `timeoutMs`. Does nothing when it is on. */
  async start(timeoutMs = 120_000): Promise<void> {
    const isOn = this.power === 'off' ? powerOn(this.#state, this.shape) : () => this.#isOn;
    await this.#untilItAnswers(timeoutMs, isOn);
  }

  /** Reboots it as `systemctl reboot` does, and waits until sshd answers again, under a new boot id. */
  async reboot(timeoutMs = 120_000): Promise<void> {
    const before = this.#leader();
    await this.exec('systemctl --no-block reboot');
    const deadline = performance.now() + timeoutMs;
    while (this.#leader() === before) {
      if (performance.now() > deadline) throw this.#silent(timeoutMs);
      await sleep(50);
    }
    await this.#untilItAnswers(deadline - performance.now(), () => this.#isOn);
  }

  /** Pulls the plug: every process gone at once, nothing stopped in order. {@link start} turns it on again. */
  async kill(): Promise<void> {
    await killGroup(this.#group);
  }

  /** Stops every process where it stands; the network stays, so connections hang instead of being refused. */
  freeze(): void {
    setFrozen(this.#group, true);
  }

  /** Lets a frozen host go on. */
  thaw(): void {
    setFrozen(this.#group, false);
  }

  /** Takes its network cable out: nothing in or out, until {@link restore}. {@link exec} still works. */
  async cut(): Promise<void> {
    await setCut(this.#state.number, this.port, true);
  }

  /**
   * Drops packets to a port of this host, without an answer, also those of open connections.
   *
   * @param fault.from The host whose packets are dropped, or `machine` for this machine's; everyone's otherwise.
   *   Only this direction is dropped.
   */
  async drop(fault: PortFault): Promise<void> {
    await setDropped(this.#state.number, this.#dropped(fault), true);
  }

  /** Ends what {@link drop} did. */
  async undrop(fault: PortFault): Promise<void> {
    await setDropped(this.#state.number, this.#dropped(fault), false);
  }

  /** Leaves no free block on its disk (`/`, `/var/lib/rancher` and `/var/lib/kubelet` are on it). */
  fillDisk(): void {
    const { bavail, bsize } = statfsSync(join(this.directory, 'disk'));
    const file = openSync(this.#filler, 'a');
    try {
      // Reserves without writing, so the machine's disk isn't filled; what that leaves is written below.
      execFileSync('fallocate', ['--length', String(bavail * bsize), this.#filler], { stdio: 'ignore' });
    } catch {
      // It reserved what there was.
    }
    try {
      for (;;) writeSync(file, Buffer.alloc(4096));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
    } finally {
      closeSync(file);
    }
  }

  /** Sets its clock off by `seconds`, for what is started from a login, by sudo or by {@link exec}. See clock.ts. */
  skewClock(seconds: number): void {
    skewClock(this.#root, this.shape.arch, seconds);
  }

  /** Ends every fault of this host but being off: cut, drops to it and from it, full disk, skewed clock, freeze. */
  async restore(): Promise<void> {
    const { cut, dropped } = await filterState(this.#state.number);
    if (cut.includes(this.port)) await setCut(this.#state.number, this.port, false);
    for (const fault of dropped) {
      if (fault.to === this.port || fault.from === this.port) await setDropped(this.#state.number, fault, false);
    }
    rmSync(this.#filler, { force: true });
    restoreClock(this.#root);
    if (isFrozen(this.#group)) this.thaw();
  }

  /** The faults it has now, in words. */
  async faults(): Promise<string[]> {
    const { cut, dropped } = await filterState(this.#state.number);
    const found: string[] = [];
    if (cut.includes(this.port)) found.push('cut');
    for (const fault of dropped.filter(({ to }) => to === this.port)) {
      found.push(`${fault.port}/${fault.proto} from ${fault.from ? this.#nameOf(fault.from) : 'everyone'} dropped`);
    }
    if (existsSync(this.#filler)) found.push('disk full');
    const skew = clockSkew(this.#root);
    if (skew !== undefined) found.push(`clock ${skew}`);
    return found;
  }

  get #root(): string {
    return join(this.directory, 'root');
  }

  /** The file that {@link fillDisk} fills the disk with, where the host doesn't see it. */
  get #filler(): string {
    return join(this.directory, 'disk/filler');
  }

  #dropped({ from, port, proto = 'tcp' }: PortFault): DroppedPort {
    if (from === undefined) return { to: this.port, proto, port };
    if (from === 'machine') return { from: machinePort, to: this.port, proto, port };
    const index = this.#state.shape.hosts.findIndex((host) => host.name === from);
    if (index < 0) {
      const expected = ['machine', ...this.#state.shape.hosts.map((host) => host.name)].join(', ');
      throw new UserError({ what: `the lab "${this.#state.name}" has no host "${from}"`, expected });
    }
    return { from: portName(index), to: this.port, proto, port };
  }

  #nameOf(port: string): string {
    return this.#state.shape.hosts.find((_, index) => portName(index) === port)?.name ?? 'machine';
  }

  get #group(): string {
    return groupOf(this.#state.number, this.name);
  }

  /** The host's process 1 as the machine numbers it: the only one in the host's own process id namespace, not a pod's. */
  #leader(): number | undefined {
    return processesIn(this.#group).find((id) => {
      try {
        const ids = /^NSpid:\t(.*)$/m.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1]?.split('\t') ?? [];
        return ids.length === 2 && ids[1] === '1';
      } catch {
        return false; // it has ended
      }
    });
  }

  get #isOn(): boolean {
    return processesIn(this.#group).length > 0;
  }

  async #untilItAnswers(timeoutMs: number, isOn: () => boolean): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!(await this.answers())) {
      if (performance.now() > deadline || !isOn()) throw this.#silent(timeoutMs);
      await sleep(50);
    }
  }

  #silent(timeoutMs: number): UserError {
    const last = this.console.trim().split('\n').slice(-10).join('\n    ');
    const what = !this.#isOn ? 'did not boot' : `did not answer within ${timeoutMs / 1000} s`;
    return new UserError({ what: `the host ${what}; its console's last lines:\n    ${last}`, host: this.name });
  }
}
