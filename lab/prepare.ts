/**
 * What a machine needs before it can hold a lab: Linux, root, a kernel with the right parts, and some Debian packages,
 * which are installed where they are missing. Asked before anything is done.
 */
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Problem, UserError } from '../engine/errors.ts';
import { hierarchies } from './cgroups.ts';
import { $, localEnvironment, type Say } from './local.ts';
import { withLock } from './lock.ts';
import type { Architecture, LabShape } from './shape.ts';

/** The programs a lab calls, and Debian's packages that have them. */
const programs: Readonly<Record<string, string>> = {
  'systemd-nspawn': 'systemd-container',
  mmdebstrap: 'mmdebstrap',
  gpg: 'gpg',
  'arch-test': 'arch-test',
  ip: 'iproute2',
  nft: 'nftables',
  nsenter: 'util-linux',
  'mkfs.ext4': 'e2fsprogs',
  'ssh-keygen': 'openssh-client',
  ssh: 'openssh-client',
  openssl: 'openssl',
  sysctl: 'procps',
  'dpkg-deb': 'dpkg',
  zstd: 'zstd',
};

/** The machine's own architecture, as Debian names it. */
export function machineArchitecture(): Architecture | undefined {
  return process.arch === 'x64' ? 'amd64' : process.arch === 'arm64' ? 'arm64' : undefined;
}

/** The architectures of a shape that this machine has to emulate. */
export function emulated(shape: LabShape): Architecture[] {
  return [...new Set(shape.hosts.map((host) => host.arch))].filter((arch) => arch !== machineArchitecture());
}

/**
 * Makes sure that the machine can hold a lab of this shape: checks what can't be mended, then installs the packages
 * that are missing (saying so).
 *
 * @throws UserError with every reason why not, before anything was changed.
 */
export async function prepare(shape: LabShape, say: Say): Promise<void> {
  const problems = [...systemProblems(), ...kernelProblems(shape)];
  if (problems.length > 0) throw new UserError(problems);
  await withLock('packages', () => installMissing(shape, say));
  // Inside hosts, `modprobe` finds no modules: what k3s wants loaded is loaded here, where it is a module.
  if (existsSync('/lib/modules')) await $({ nothrow: true })`modprobe --all --quiet overlay br_netfilter vxlan loop`;
  const missing = await missingNetworking();
  if (missing.length > 0) throw new UserError(missing);
}

/** What is wrong with the kind of machine this is. */
function systemProblems(): Problem[] {
  if (process.platform !== 'linux') {
    return [
      {
        what: `a lab needs Linux; this is ${process.platform}`,
        hint: 'use a Debian 12 machine, a virtual one will do',
      },
    ];
  }
  const problems: Problem[] = [];
  if (process.getuid?.() !== 0) {
    problems.push({
      what: 'a lab needs root: it makes network namespaces, mounts and control groups',
      hint: 'run it with sudo, or as root',
    });
  }
  if (!machineArchitecture())
    problems.push({ what: `a lab's machine can't be ${process.arch}`, expected: 'x64, arm64' });
  return problems;
}

/** What the kernel lacks, as far as that can be read without doing anything. */
function kernelProblems(shape: LabShape): Problem[] {
  const problems: Problem[] = [];
  const lacks = (part: string, option: string) =>
    problems.push({ what: `the kernel lacks ${part}`, hint: `a kernel with ${option}, such as Debian's` });
  const fileSystems = readFileSync('/proc/filesystems', 'utf8').split(/\s+/);
  const hasModules = existsSync('/lib/modules');
  const available = (name: string) => fileSystems.includes(name) || hasModules;
  if (!available('overlay')) lacks('overlay mounts', 'CONFIG_OVERLAY_FS');
  if (!available('ext4')) lacks('ext4', 'CONFIG_EXT4_FS');
  if (!existsSync('/dev/loop-control') && !hasModules) lacks('loop devices', 'CONFIG_BLK_DEV_LOOP');
  if (!existsSync('/proc/self/ns/net')) lacks('network namespaces', 'CONFIG_NET_NS');
  if (hierarchies().length === 0) {
    problems.push({ what: 'no control groups are mounted', hint: 'mount -t cgroup2 cgroup2 /sys/fs/cgroup' });
  }
  if (emulated(shape).length > 0 && !available('binfmt_misc')) {
    lacks(
      `binfmt_misc, which emulating ${emulated(shape).join(', ')} hosts needs`,
      'CONFIG_BINFMT_MISC, or a shape of one architecture',
    );
  }
  return problems;
}

/** Whether a program is there. */
function has(program: string): boolean {
  const directories = localEnvironment.PATH.split(delimiter);
  return directories.some((directory) => existsSync(join(directory, program)));
}

async function installMissing(shape: LabShape, say: Say): Promise<void> {
  const wanted = new Set(Object.entries(programs).flatMap(([program, name]) => (has(program) ? [] : [name])));
  for (const arch of emulated(shape)) if (!has(emulatorOf(arch))) wanted.add('qemu-user-static');
  const names = [...wanted].sort();
  if (names.length === 0) return;
  if (!has('apt-get')) {
    throw new UserError({
      what: `programs are missing, and this machine has no apt-get to install them with`,
      hint: `install what Debian calls ${names.join(', ')}`,
    });
  }
  say(`installing ${names.join(', ')}`);
  const env = { ...localEnvironment, DEBIAN_FRONTEND: 'noninteractive' };
  await $({ nothrow: true, env })`apt-get update -q`;
  const installed = await $({ nothrow: true, env })`apt-get install -y -q --no-install-recommends ${names}`;
  if (installed.exitCode !== 0) {
    const last = installed.stderr.trim().split('\n').slice(-5).join('\n    ');
    throw new UserError({ what: `apt-get could not install ${names.join(', ')}:\n    ${last}` });
  }
}

/** The static emulator that runs programs of `arch` here, as qemu-user-static names it. */
export function emulatorOf(arch: Architecture): string {
  return `qemu-${cpuOf(arch)}-static`;
}

/** The name of an architecture in `uname -m` and in qemu's files. */
export function cpuOf(arch: Architecture): 'x86_64' | 'aarch64' {
  return arch === 'amd64' ? 'x86_64' : 'aarch64';
}

/** Tries, in a namespace that goes again at once, the network parts that can't be seen without trying. */
async function missingNetworking(): Promise<Problem[]> {
  const tries: [part: string, option: string, command: string][] = [
    ['bridges', 'CONFIG_BRIDGE', 'ip link add lab-a type bridge'],
    ['virtual links', 'CONFIG_VETH', 'ip link add lab-b type veth peer name lab-c'],
    ['VXLAN', 'CONFIG_VXLAN', 'ip link add lab-d type vxlan id 1 dstport 8472'],
    ['packet filters on bridges', 'CONFIG_NF_TABLES and CONFIG_NF_TABLES_BRIDGE', 'nft add table bridge lab'],
    ['packet filters', 'CONFIG_NF_TABLES_INET', 'nft add table inet lab'],
  ];
  const script = tries.map(([, , command], index) => `${command} >/dev/null 2>&1 || echo ${index}`).join('\n');
  const { stdout } = await $({ input: script })`unshare --net sh`;
  return stdout.split('\n').flatMap((line) => {
    const [part, option] = tries[line ? Number(line) : -1] ?? [];
    return part ? [{ what: `the kernel lacks ${part}`, hint: `a kernel with ${option}, such as Debian's` }] : [];
  });
}
