/**
 * The Debian 12 root that hosts of one kind share read-only: made once by mmdebstrap, kept in the cache under the hash
 * of its recipe, so that a changed recipe makes a new root and leaves the old one to labs that still stand on it.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { UserError } from '../engine/errors.ts';
import { $, type Say } from './local.ts';
import { withLock } from './lock.ts';
import { cacheDirectory } from './names.ts';
import { machineArchitecture } from './prepare.ts';
import type { Architecture } from './shape.ts';

/** What makes a root different from another. */
export interface RootKind {
  readonly arch: Architecture;
  /** With ufw, and so with the Python it is written in; without, the root has no Python at all. */
  readonly ufw: boolean;
}

/** The release hosts run. */
const suite = 'bookworm';

/** What every host has. k3s needs conntrack, socat, ethtool and iptables, the stand-in runc too. */
const packages = [
  'systemd',
  'systemd-sysv',
  'dbus',
  'openssh-server',
  'sudo',
  'iptables',
  'nftables',
  'iproute2',
  'iputils-ping',
  'arping',
  'curl',
  'procps',
  'kmod',
  'socat',
  'conntrack',
  'ethtool',
  'runc',
  'busybox-static',
  'zstd',
  'libfaketime',
];

/**
 * What an emulated root has in the machine's own architecture, since qemu-user lacks netfilter's sockets and some
 * ioctls: `iptables -V` and so ufw fail under it, and `ss` crashes. Such programs run beside the others as they are.
 */
const notEmulated = ['iptables', 'nftables', 'iproute2', 'conntrack', 'ethtool', 'arping'];

/** Units that a host which lives for minutes does without: consoles, timers, and hardware it hasn't got. */
const masked = [
  'apt-daily.timer',
  'apt-daily-upgrade.timer',
  'dpkg-db-backup.timer',
  'e2scrub_all.timer',
  'e2scrub_reap.service',
  'fstrim.timer',
  'systemd-tmpfiles-clean.timer',
  'console-getty.service',
  'getty.target',
  'systemd-update-utmp.service',
  'systemd-update-utmp-runlevel.service',
  'systemd-network-generator.service',
  'systemd-udevd.service',
  'sys-kernel-debug.mount',
  'sys-kernel-tracing.mount',
  'sys-fs-fuse-connections.mount',
  'dev-hugepages.mount',
  'dev-mqueue.mount',
];

/**
 * Units that load a credential, which no host has. Each gets a mount for it, which takes time and fails under
 * emulation. A drop-in turns that off.
 */
const services = ['systemd-sysctl', 'systemd-sysusers', 'systemd-tmpfiles-setup', 'systemd-tmpfiles-setup-dev'];

/** Files written into the root. */
const files: Readonly<Record<string, string>> = {
  // nspawn mounts the controllers of control groups version 1 read-only; a kubelet has to write them.
  'etc/systemd/system/lab-cgroups.service': `[Unit]
Description=Make control groups (version 1) writable
DefaultDependencies=no
Before=sysinit.target
ConditionPathIsDirectory=/sys/fs/cgroup/memory

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'for d in /sys/fs/cgroup/*/; do mount -o remount,rw,bind "$d"; done'

[Install]
WantedBy=sysinit.target
`,
  'etc/ssh/sshd_config.d/10-lab.conf': 'UseDNS no\nPrintMotd no\nPrintLastLog no\n',
  'etc/apt/apt.conf.d/90lab':
    'APT::Install-Recommends "false";\nAcquire::Languages "none";\nAcquire::http::Timeout "10";\n',
};

/** Run with the root's directory as `$1` before packages that aren't essential: sshd then makes no keys of its own. */
const earlyHook =
  'mkdir -p "$1"/etc/ssh && touch "$1"/etc/ssh/ssh_host_rsa_key "$1"/etc/ssh/ssh_host_ecdsa_key "$1"/etc/ssh/ssh_host_ed25519_key';

/** Run with the root's directory as `$1` when its packages are in. */
const hooks = [
  'chroot "$1" useradd --create-home --shell /bin/bash admin',
  'rm -f "$1"/etc/ssh/ssh_host_*',
  'rm -rf "$1"/etc/update-motd.d "$1"/etc/motd',
];

/** What a root leaves out to stay small. */
const dpkgOptions = ['man', 'doc', 'locale', 'info', 'lintian'].map((name) => `path-exclude=/usr/share/${name}/*`);

/** The hash that names the root of this kind in the cache. */
export function recipeHash(kind: RootKind): string {
  const recipe = JSON.stringify([
    suite,
    kind,
    machineArchitecture(),
    notEmulated,
    services,
    packages,
    masked,
    files,
    earlyHook,
    hooks,
    dpkgOptions,
  ]);
  return createHash('sha256').update(recipe).digest('hex').slice(0, 12);
}

/**
 * The directory of the root of this kind, made when the cache hasn't got it (one to four minutes). Two labs that want
 * the same root at once make it once.
 */
export async function rootOf(kind: RootKind, say: Say): Promise<string> {
  const root = join(cacheDirectory(), 'roots', `${suite}-${kind.arch}${kind.ufw ? '' : '-bare'}-${recipeHash(kind)}`);
  if (existsSync(root)) return whole(root);
  return withLock(`root-${recipeHash(kind)}`, async () => {
    if (!existsSync(root)) await make(kind, root, say);
    return root;
  });
}

/** A cached root, as it was made: a copy by `cp -r` has lost what makes sudo work. */
function whole(root: string): string {
  if (statSync(join(root, 'usr/bin/sudo')).mode & 0o4000) return root;
  throw new UserError({
    what: `${root} is not as it was made: its sudo has no setuid bit`,
    hint: `remove it, so that it is made again; copy caches by cp -a`,
  });
}

async function make(kind: RootKind, root: string, say: Say): Promise<void> {
  const started = performance.now();
  say(`making the ${kind.arch} root (once; ${kind.arch === 'arm64' ? 'emulated, some minutes' : 'about two minutes'})`);
  mkdirSync(dirname(root), { recursive: true });
  await removeUnfinished(dirname(root));
  const unfinished = `${root}${unfinishedMark}${process.pid}`;
  const machine = machineArchitecture() ?? kind.arch;
  const isNative = machine === kind.arch;
  const names = packages.map((name) => (isNative || !notEmulated.includes(name) ? name : `${name}:${machine}`));
  const include = [...names, ...(kind.ufw ? ['ufw'] : [])].join(',');
  const options = [
    `--architectures=${isNative ? kind.arch : `${kind.arch},${machine}`}`,
    '--variant=minbase',
    `--include=${include}`,
    '--format=directory',
    '--aptopt=APT::Install-Recommends "false"',
    ...dpkgOptions.map((option) => `--dpkgopt=${option}`),
    `--essential-hook=${earlyHook}`,
    ...hooks.map((hook) => `--customize-hook=${hook}`),
  ];
  const made = await $({ nothrow: true })`mmdebstrap ${options} ${suite} ${unfinished}`;
  if (made.exitCode !== 0) {
    await removeRoot(unfinished);
    const last = made.stderr.trim().split('\n').slice(-8).join('\n    ');
    throw new UserError({
      what: `mmdebstrap could not make the ${kind.arch} root:\n    ${last}`,
      hint: 'check that this machine reaches its Debian mirror (apt-get update)',
    });
  }
  const dropIns = services.map((name) => [
    `etc/systemd/system/${name}.service.d/lab.conf`,
    '[Service]\nLoadCredential=\n',
  ]);
  for (const [name = '', text = ''] of [...Object.entries(files), ...dropIns]) {
    mkdirSync(dirname(join(unfinished, name)), { recursive: true });
    writeFileSync(join(unfinished, name), text);
  }
  const units = join(unfinished, 'etc/systemd/system');
  for (const unit of masked) {
    rmSync(join(units, unit), { force: true });
    symlinkSync('/dev/null', join(units, unit));
  }
  mkdirSync(join(units, 'sysinit.target.wants'), { recursive: true });
  symlinkSync('../lab-cgroups.service', join(units, 'sysinit.target.wants/lab-cgroups.service'));
  for (const directory of ['var/lib/rancher', 'var/lib/kubelet'])
    mkdirSync(join(unfinished, directory), { recursive: true });
  chmodSync(unfinished, 0o755);
  renameSync(unfinished, root);
  say(`made the ${kind.arch} root in ${Math.round((performance.now() - started) / 1000)} s`);
}

/** What stands in the name of a root that is being made, before the id of the process that makes it. */
const unfinishedMark = '.unfinished-';

/** Removes roots whose makers were killed. */
async function removeUnfinished(roots: string): Promise<void> {
  for (const name of readdirSync(roots)) {
    const [, maker] = name.split(unfinishedMark);
    if (maker !== undefined && !existsSync(`/proc/${maker}`)) await removeRoot(join(roots, name));
  }
}

/** Removes a root that was left half made, with what mmdebstrap left mounted in it. */
async function removeRoot(directory: string): Promise<void> {
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory)) {
    if (['proc', 'sys', 'dev'].includes(name)) await $({ nothrow: true })`umount --recursive ${join(directory, name)}`;
  }
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
}
