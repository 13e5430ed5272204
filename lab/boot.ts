/** What boots a host: its disk, its root, the files in it before the first boot, and the script that runs it. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { aptSource } from './apt-repository.ts';
import { groupInside, groupOutside, hierarchies, makeGroup } from './cgroups.ts';
import { $, localEnvironment } from './local.ts';
import {
  directoryOf,
  directoryOfHost,
  gatewayAddress,
  hostAddress,
  hostMac,
  type LabState,
  namespaceName,
  portName,
  switchName,
} from './names.ts';
import { mirrorUrl } from './services.ts';
import type { HostShape } from './shape.ts';

/**
 * Mounts the host's disk and its root over the shared one.
 *
 * The disk is a sparse image, so that it can be full; without a journal and write barriers, for nothing on it has to
 * outlive the machine (killing a host loses nothing: the page cache is the machine's). `/var/lib/rancher` and
 * `/var/lib/kubelet` are plain directories of it, since an overlay can't stand on an overlay.
 */
export async function mountRoot(lab: string, host: HostShape, root: string): Promise<void> {
  const directory = directoryOfHost(lab, host.name);
  mkdirSync(directory, { recursive: true });
  const image = join(directory, 'disk.img');
  const disk = join(directory, 'disk');
  await $`truncate --size ${host.disk_gb}G ${image}`;
  await $`mkfs.ext4 -q -O ^has_journal -m 0 -E lazy_itable_init=1,nodiscard ${image}`;
  for (const name of ['disk', 'root']) mkdirSync(join(directory, name));
  await $`mount -o loop,barrier=0,noatime ${image} ${disk}`;
  for (const name of ['upper', 'work', 'rancher', 'kubelet']) mkdirSync(join(disk, name));
  const options = `lowerdir=${root},upperdir=${join(disk, 'upper')},workdir=${join(disk, 'work')}`;
  await $`mount -t overlay -o ${options} heartwood ${join(directory, 'root')}`;
}

/** Writes the host's own files: its name, keys, passwords, peers. Before the first boot only. */
export async function configureHost(state: LabState, host: HostShape): Promise<void> {
  const directory = directoryOf(state.name);
  const root = join(directoryOfHost(state.name, host.name), 'root');
  const write = (path: string, text: string, mode = 0o644) => {
    writeFileSync(join(root, path), text, { mode });
    chmodSync(join(root, path), mode);
  };
  write('etc/hostname', `${host.name}\n`);
  // Without an id systemd takes this for a first boot and resets which units are enabled.
  write('etc/machine-id', `${randomBytes(16).toString('hex')}\n`, 0o444);
  const peers = state.shape.hosts.map((peer, index) => `${hostAddress(state.number, index)} ${peer.name}`);
  write('etc/hosts', `127.0.0.1 localhost\n::1 localhost\n${peers.join('\n')}\n`);
  write('etc/resolv.conf', `nameserver ${gatewayAddress(state.number)}\n`);
  for (const name of readdirSync(join(root, 'etc/apt/sources.list.d')))
    rmSync(join(root, 'etc/apt/sources.list.d', name));
  write('etc/apt/sources.list', aptSource(mirrorUrl(state.number), host.arch));
  writeK3sNeeds(root);
  await $`ssh-keygen -q -t ed25519 -N ${''} -C ${host.name} -f ${join(root, 'etc/ssh/ssh_host_ed25519_key')}`;
  if (host.ssh_port !== 22) write('etc/ssh/sshd_config.d/20-port.conf', `Port ${host.ssh_port}\n`);
  const key = readFileSync(join(directory, 'ssh_key.pub'));
  for (const [home, owner] of [
    ['root', 0],
    ['home/admin', 1000],
  ] as const) {
    mkdirSync(join(root, home, '.ssh'), { recursive: true, mode: 0o700 });
    writeFileSync(join(root, home, '.ssh/authorized_keys'), key, { mode: 0o600 });
    await $`chown -R ${owner}:${owner} ${join(root, home, '.ssh')}`;
  }
  const { stdout: hash } = await $({ input: host.sudo_password })`openssl passwd -6 -stdin`;
  const shadow = readFileSync(join(root, 'etc/shadow'), 'utf8');
  write(
    'etc/shadow',
    shadow.replace(/^admin:[^:]*:/m, () => `admin:${hash.trim()}:`),
    0o640,
  );
  const rule = { password: 'admin ALL=(ALL:ALL) ALL\n', nopasswd: 'admin ALL=(ALL:ALL) NOPASSWD: ALL\n', refused: '' };
  write('etc/sudoers.d/lab', rule[host.sudo], 0o440);
}

/**
 * Writes the settings that a real k3s needs on such a host (k3s-observed.md, "What it needs of a lab host"), in drop-ins
 * beside the files that roles write, so that roles know nothing of labs.
 */
function writeK3sNeeds(root: string): void {
  const config = join(root, 'etc/rancher/k3s/config.yaml.d');
  mkdirSync(config, { recursive: true });
  const onVersion1 = hierarchies().some((hierarchy) => hierarchy.controllers.includes('memory'));
  const kubelet = onVersion1 ? 'kubelet-arg+:\n  - fail-cgroupv1=false\n' : '';
  writeFileSync(join(config, '90-lab.yaml'), `${kubelet}kube-proxy-arg+:\n  - conntrack-max-per-core=0\n`);
  if (mayRaiseLimits()) return;
  const containerd = join(root, '../disk/rancher/k3s/agent/etc/containerd/config-v3.toml.d');
  mkdirSync(containerd, { recursive: true });
  const settings = "[plugins.'io.containerd.cri.v1.runtime']\n  restrict_oom_score_adj = true\n";
  writeFileSync(join(containerd, '90-lab.toml'), settings);
}

/** Whether this process has CAP_SYS_RESOURCE (number 24 in capability.h), which lowering an oom_score_adj takes. */
function mayRaiseLimits(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> 24n) & 1n) === 1n;
}

/**
 * The script that is the host's power supply: it puts itself into the host's control groups, makes the host's network
 * anew, boots it, and boots it again when it reboots (nspawn says so by exit code 133 where it has no service manager).
 * A host has every capability but that to set the clock, which is the machine's.
 */
function bootScript(state: LabState, host: HostShape): string {
  const directory = directoryOfHost(state.name, host.name);
  const index = state.shape.hosts.indexOf(host);
  const namespace = namespaceName(state.number, host.name);
  const lab = switchName(state.number);
  const outside = makeGroup(groupOutside(state.number, host.name)).join(' ');
  const inside = makeGroup(groupInside(state.number, host.name)).join(' ');
  const binds = [
    `--bind=${join(directory, 'disk/rancher')}:/var/lib/rancher`,
    `--bind=${join(directory, 'disk/kubelet')}:/var/lib/kubelet`,
    '--bind=/dev/kmsg',
  ];
  return `#!/bin/sh
# Boots the lab host ${host.name} (lab ${state.name}). Written by lab/boot.ts.
enter() { for group; do echo 0 > "$group/cgroup.procs" || exit 1; done; } # 0: whoever writes
enter ${outside}
while :; do
  ip -netns ${lab} link delete ${portName(index)} 2>/dev/null
  ip netns delete ${namespace} 2>/dev/null
  ip netns add ${namespace} || exit 1
  ip link add ${portName(index)} netns ${lab} type veth peer name eth0 netns ${namespace} address ${hostMac(state.number, index)} || exit 1
  ip -netns ${lab} link set ${portName(index)} master bridge0 up
  ip -netns ${namespace} -batch - <<'EOF' || exit 1
link set lo up
address add ${hostAddress(state.number, index)}/24 dev eth0
link set eth0 up
route add default via ${gatewayAddress(state.number)}
EOF
  (enter ${inside}; SYSTEMD_NSPAWN_API_VFS_WRITABLE=1 SYSTEMD_NSPAWN_LOCK=0 exec systemd-nspawn --quiet --boot \\
    --register=no --keep-unit --machine=${namespace} --hostname=${host.name} \\
    --directory=${join(directory, 'root')} --network-namespace-path=/run/netns/${namespace} \\
    --capability=all --drop-capability=CAP_SYS_TIME --system-call-filter='@keyring bpf @known' --console=pipe \\
    --resolv-conf=off --timezone=off --link-journal=no \\
    ${binds.join(' \\\n    ')} \\
    systemd.show_status=error)
  code=$?
  [ $code -eq 133 ] || break
done
ip netns delete ${namespace}
exit $code
`;
}

/**
 * Turns the host on. It goes on when this process ends.
 *
 * @returns Whether its power supply is still there; false when it couldn't boot, or has been switched off.
 */
export function powerOn(state: LabState, host: HostShape): () => boolean {
  const directory = directoryOfHost(state.name, host.name);
  const script = join(directory, 'boot.sh');
  writeFileSync(script, bootScript(state, host), { mode: 0o755 });
  const log = openSync(join(directory, 'console.log'), 'a');
  const child = spawn('sh', [script], { detached: true, stdio: ['ignore', log, log], cwd: '/', env: localEnvironment });
  child.unref();
  closeSync(log);
  return () => child.exitCode === null && child.signalCode === null;
}
