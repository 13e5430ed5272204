/** Verdicts on one machine by itself: is it big enough, and can its kernel do what k3s needs? Pure. */
import { type HostView, pass, refuse, type Verdict, warn } from '../../engine/index.ts';
import type { Infer } from '../../engine/vars/schema.ts';
import type { Finding } from '../../engine/verdict.ts';
import type { NodeKind } from '../cluster/groups.ts';
import type { System } from '../cluster/system.ts';
import type { Prerequisites } from './facts.ts';
import { type Listener, portsTaken } from './ports.ts';
import type { preflightVars } from './vars.ts';

/** The role's variables. */
export type PreflightVars = Infer<typeof preflightVars>;

/** One machine, and what it is to be. */
export interface Machine {
  readonly host: HostView;
  readonly kind: NodeKind;
  readonly system: System;
  readonly found: Prerequisites;
  readonly listeners: readonly Listener[];
}

/** All of them. */
export function machineVerdicts(machine: Machine, vars: PreflightVars): readonly Verdict[] {
  return [
    operatingSystem(machine),
    architecture(machine),
    memory(machine, vars),
    disk(machine, vars),
    memoryCgroup(machine),
    vxlan(machine, vars),
    iptables(machine),
    forward(machine, vars),
    swap(machine),
    ports(machine, vars),
    timeSource(machine),
  ];
}

const FAMILIES = ['debian', 'ubuntu', 'raspbian'];

function operatingSystem({ system: { os, systemd }, found }: Machine): Verdict {
  const evidence = `${os.name || 'no os-release'}${systemd ? '' : ', not run by systemd'}`;
  if (!systemd || !found.apt) {
    return refuse('os', {
      evidence,
      what: systemd
        ? 'the host has no apt, with which the roles install what they need'
        : 'systemd does not run this host',
      expected: 'Debian, Ubuntu, Raspberry Pi OS and what is made from them, booted by systemd',
      hint: 'install one of these on the host, or take it out of the inventory',
    });
  }
  if ([os.id, ...os.like].some((id) => FAMILIES.includes(id))) return pass('os', evidence);
  return warn('os', {
    evidence,
    what: 'nobody has tried these roles on this operating system',
    expected: FAMILIES.join(', '),
  });
}

function architecture({ system: { arch, machine } }: Machine): Verdict {
  if (arch !== 'other') return pass('architecture', `${machine} (${arch})`);
  return refuse('architecture', {
    evidence: machine,
    what: `k3s has no release for ${machine}`,
    expected: 'x86_64, aarch64, armv7l',
    hint: 'on a 64-bit processor install a 64-bit system; else take the host out of the inventory',
  });
}

/** Firmware and graphics keep part of the memory, and tables part of the disk: a tenth less still counts. */
const TOLERATED = 0.9;

function memory({ kind, system: { memoryMiB } }: Machine, vars: PreflightVars): Verdict {
  const need = kind === 'server' ? vars.preflight_server_memory_gb : vars.preflight_agent_memory_gb;
  const gb = (memoryMiB * 1024 * 1024) / 1e9;
  const evidence = `${gb.toFixed(1)} GB of memory`;
  if (gb >= 2 * need * TOLERATED) return pass('memory', evidence);
  const finding = (wanted: number): Finding => ({
    evidence,
    what: `${evidence} is too little for ${kind === 'server' ? 'a server' : 'an agent'}`,
    expected: `${wanted} GB and more`,
  });
  if (gb >= need * TOLERATED) {
    return warn('memory', {
      ...finding(2 * need),
      what: `${evidence} is little for ${kind === 'server' ? 'a server' : 'an agent'}`,
    });
  }
  return refuse('memory', {
    ...finding(need),
    hint: kind === 'server' ? 'make it an agent, or add memory' : `preflight_agent_memory_gb, where small is meant`,
  });
}

/** Below this much free space k3s can't even be installed. GB. */
const FREE_AT_LEAST = 2;
/** The kubelet starts to evict pods at 85 % full (imagefs.available<15%). */
const FREE_SHARE = 0.15;

function disk({ kind, found: { disk: found } }: Machine, vars: PreflightVars): Verdict {
  if (!found)
    return warn('disk', {
      evidence: 'df said nothing',
      what: `the space under ${vars.preflight_data_dir} is not known`,
    });
  const { size, free, mount } = found;
  const [need, recommended] =
    kind === 'server'
      ? [vars.preflight_server_disk_gb, 2.5 * vars.preflight_server_disk_gb]
      : [vars.preflight_agent_disk_gb, 2 * vars.preflight_agent_disk_gb];
  const evidence = `${mount} has ${size.toFixed(1)} GB, ${free.toFixed(1)} GB free`;
  const hint = `put ${vars.preflight_data_dir} on a bigger disk`;
  if (free < FREE_AT_LEAST) {
    return refuse('disk', {
      evidence,
      what: `there is no room under ${vars.preflight_data_dir}`,
      expected: `${FREE_AT_LEAST} GB free and more`,
      hint: `see what fills it: du -xh ${mount} | sort -h | tail; journalctl --vacuum-size=100M; apt-get clean`,
    });
  }
  if (size < need * TOLERATED) {
    return refuse('disk', {
      evidence,
      what: `the disk under ${vars.preflight_data_dir} is too small`,
      expected: `${need} GB and more`,
      hint,
    });
  }
  if (free < size * FREE_SHARE) {
    return warn('disk', {
      evidence,
      what: `the disk under ${vars.preflight_data_dir} is nearly full: the kubelet evicts pods`,
      expected: '15 % free and more',
      hint,
    });
  }
  if (size < recommended * TOLERATED) {
    return warn('disk', {
      evidence,
      what: `the disk under ${vars.preflight_data_dir} is small`,
      expected: `${recommended} GB and more`,
      hint,
    });
  }
  return pass('disk', evidence);
}

function memoryCgroup({ found: { memoryCgroup: there, cmdline } }: Machine): Verdict {
  const file = cmdline?.path ?? '/boot/firmware/cmdline.txt (older systems: /boot/cmdline.txt)';
  if (!there) {
    return refuse('memory-cgroup', {
      evidence:
        cmdline && cmdline.lines > 1
          ? `${cmdline.path} has ${cmdline.lines} lines; only the first counts`
          : 'no memory controller',
      what: 'the kernel has no memory cgroup, and k3s does not start without it',
      hint: `append "cgroup_memory=1 cgroup_enable=memory" to the one line of ${file}, no line break before it, and reboot`,
    });
  }
  if (cmdline && cmdline.lines > 1) {
    return warn('memory-cgroup', {
      evidence: `${cmdline.path} has ${cmdline.lines} lines`,
      what: 'only the first line of kernel parameters counts: what stands below is ignored',
      hint: `make it one line: ${cmdline.path}`,
    });
  }
  return pass('memory-cgroup', 'there');
}

function vxlan({ found, system: { model, os } }: Machine, vars: PreflightVars): Verdict {
  if (vars.k3s_flannel_backend !== 'vxlan') return pass('vxlan', `not needed with ${vars.k3s_flannel_backend}`);
  if (found.vxlan !== 'missing')
    return pass('vxlan', found.vxlan === 'unknown' ? 'not known: no module directory' : found.vxlan);
  const pi = os.id === 'ubuntu' && model.includes('Raspberry Pi');
  return refuse('vxlan', {
    evidence: 'neither built in nor a module',
    what: 'the kernel has no vxlan, on which the network of the pods rides',
    hint: pi
      ? 'apt install linux-modules-extra-raspi, and reboot'
      : 'install the modules of the running kernel (linux-modules-extra), or reboot into the newest one; k3s_flannel_backend: host-gw needs none',
  });
}

function iptables({ host, found: { iptables: version } }: Machine): Verdict {
  if (version === undefined) return pass('iptables', 'none: k3s uses the one it brings');
  const settings = host.var('k3s_config');
  const bundled = typeof settings === 'object' && settings !== null && 'prefer-bundled-bin' in settings;
  if (!/^1\.8\.[0-4]$/.test(version) || bundled) return pass('iptables', version);
  return refuse('iptables', {
    evidence: version,
    what: `iptables ${version} adds the same rules again and again, until the host is slow (k3s issue 3117)`,
    expected: 'below 1.8.0, 1.8.5 and newer',
    hint: 'k3s_config: { prefer-bundled-bin: true }, or a newer iptables',
  });
}

function forward({ found: { forward: found } }: Machine, vars: PreflightVars): Verdict {
  if (!found) return pass('forward', 'no iptables, no policy');
  if (found.policy !== 'DROP') return pass('forward', `FORWARD ${found.policy}`);
  if (found.podsAllowed) return pass('forward', `FORWARD DROP, with a rule for ${vars.k3s_cluster_cidr}`);
  return warn('forward', {
    evidence: 'iptables -P FORWARD DROP',
    what: `forwarded packets are dropped, and no rule lets those of the pods (${vars.k3s_cluster_cidr}) through`,
    hint: 'the firewall role adds the rule; without it: iptables -P FORWARD ACCEPT, for good',
  });
}

function swap({ found: { swap: devices } }: Machine): Verdict {
  if (devices.length === 0) return pass('swap', 'none');
  return warn('swap', {
    evidence: devices.join(', '),
    what: 'the host swaps: etcd then misses heartbeats when memory is short',
    hint: 'swapoff -a, and take it out of /etc/fstab; Raspberry Pi OS: systemctl disable --now dphys-swapfile',
  });
}

function ports({ kind, found, listeners }: Machine, vars: PreflightVars): Verdict {
  if (found.k3s) return pass('ports', `k3s ${found.k3s} runs here`);
  const others = listeners.filter(({ program }) => !(found.starting && /^(k3s|containerd)/.test(program)));
  const taken = portsTaken(others, kind, vars.k3s_flannel_backend);
  if (taken.length === 0) return pass('ports', 'free');
  const list = taken.map(({ port, proto, program }) => `${port}/${proto}${program ? ` (${program})` : ''}`).join(', ');
  return refuse('ports', {
    evidence: list,
    what: `k3s needs ${list}, where something else listens`,
    hint: taken.some(({ program }) => /^(kubelet|kube-|etcd|k3s|containerd)/.test(program))
      ? 'another Kubernetes or etcd runs here: remove it first'
      : 'see who: ss -lntup; stop it or move it to another port',
  });
}

function timeSource({ found: { synchronised, rtc, container } }: Machine): Verdict {
  if (container) return pass('time-source', `a container (${container}): the clock is the machine's`);
  if (synchronised) return pass('time-source', 'synchronised');
  const evidence = `${synchronised === undefined ? 'no time service known' : 'not synchronised'}, ${rtc ? 'with' : 'without'} a clock of its own`;
  return warn('time-source', {
    evidence,
    what: rtc
      ? 'nothing keeps the clock right'
      : 'the host has no battery-backed clock, and no time server sets it: after a reboot certificates look not yet valid',
    hint: 'apt install systemd-timesyncd, or chrony; timedatectl set-ntp true',
  });
}
