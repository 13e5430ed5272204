/** What k3s needs of a host. Changes nothing. In a minimal host, what a missing tool would find out is undefined. */
import { type Fact, fact, sh } from '../../engine/index.ts';
import { hwKv, parseState } from '../../engine/state.ts';

/** What {@link prerequisites} finds. */
export interface Prerequisites {
  /** Size and free space of the file system with the data, in GB (10^9 bytes); undefined without `df`. */
  readonly disk: { readonly size: number; readonly free: number; readonly mount: string } | undefined;
  /** Is there a memory cgroup, of either version? */
  readonly memoryCgroup: boolean;
  /** The boot loader's file of kernel parameters on a Raspberry Pi, and how many lines it has; undefined elsewhere. */
  readonly cmdline: { readonly path: string; readonly lines: number } | undefined;
  /** Does the kernel have VXLAN: built in or loaded, as a module, or not? */
  readonly vxlan: 'there' | 'module' | 'missing' | 'unknown';
  /** Version of the host's iptables, `1.8.9`; undefined without one: k3s brings its own. */
  readonly iptables: string | undefined;
  /** Policy of the FORWARD chain, and whether a rule lets the pods' packets through; undefined without iptables. */
  readonly forward: { readonly policy: string; readonly podsAllowed: boolean } | undefined;
  /** Devices and files that it swaps to. */
  readonly swap: readonly string[];
  /** Is its clock kept by a time server? Undefined where it is not known. */
  readonly synchronised: boolean | undefined;
  readonly rtc: boolean;
  /** Kind of container, when it is one: its clock and kernel are the machine's. */
  readonly container: string | undefined;
  /** Does it have apt? */
  readonly apt: boolean;
  /** Which k3s runs: its ports are its own. */
  readonly k3s: 'server' | 'agent' | undefined;
  /** Is k3s starting, or failing to start again and again? Then some of the ports may be its own. */
  readonly starting: boolean;
  /** The address under which its etcd is a member; undefined without etcd data. */
  readonly etcdAddress: string | undefined;
  /** Is its etcd a learner still? Undefined when etcd does not answer. */
  readonly learner: boolean | undefined;
  /** Does it hold the password under which its node is known to the servers? */
  readonly nodePassword: boolean;
  /** Names of the cluster's nodes, when it is a server that answers. */
  readonly nodes: readonly string[];
}

/** Seconds to wait for an answer of the host's own etcd or API. */
const TIMEOUT = 5;

/** All of {@link Prerequisites}. */
export function prerequisites(dataDir: string, podNetwork: string): Fact<Prerequisites> {
  return fact({
    name: 'prerequisites',
    script: sh`
hw_dir=${dataDir}
while [ ! -d "$hw_dir" ]; do hw_dir=$(dirname "$hw_dir"); done
${hwKv} disk "$(df -Pk "$hw_dir" 2>/dev/null | tail -n 1)"

if grep -qs '^memory[[:space:]].*[[:space:]]1$' /proc/cgroups || grep -qsw memory /sys/fs/cgroup/cgroup.controllers; then
  echo memory_cgroup=yes
fi
for hw_file in /boot/firmware/cmdline.txt /boot/cmdline.txt; do
  # Newer systems leave a note in the old place that says where it went.
  if [ -f $hw_file ] && grep -q 'root=' $hw_file; then
    echo "cmdline=$hw_file"; echo "cmdline_lines=$(grep -c . $hw_file)"; break
  fi
done

hw_modules=/lib/modules/$(uname -r)
if [ -d /sys/module/vxlan ] || grep -qs /vxlan.ko "$hw_modules/modules.builtin"; then echo vxlan=there
elif command -v modprobe >/dev/null && modprobe -n -q vxlan; then echo vxlan=module
elif [ -d "$hw_modules" ]; then echo vxlan=missing
fi

if command -v iptables >/dev/null; then
  ${hwKv} iptables "$(iptables --version 2>/dev/null)"
  hw_rules=$(iptables -w ${TIMEOUT} -S 2>/dev/null)
  ${hwKv} forward "$(printf '%s\\n' "$hw_rules" | sed -n 's/^-P FORWARD //p')"
  case $hw_rules in *' -s '${podNetwork}*' -j ACCEPT'*) echo pods_allowed=yes ;; esac
fi
${hwKv} swap "$(sed -n '2,$s/[[:space:]].*//p' /proc/swaps 2>/dev/null | tr '\\n' ' ')"

hw_synchronised=
if command -v timedatectl >/dev/null; then hw_synchronised=$(timeout ${TIMEOUT} timedatectl show -p NTPSynchronized --value 2>/dev/null); fi
if [ "$hw_synchronised" != yes ] && command -v chronyc >/dev/null; then
  case $(chronyc -n tracking 2>/dev/null) in *'Leap status     : Normal'*) hw_synchronised=yes ;; esac
fi
${hwKv} synchronised "$hw_synchronised"
for hw_rtc in /dev/rtc*; do [ ! -e "$hw_rtc" ] || echo rtc=yes; done
if command -v systemd-detect-virt >/dev/null; then ${hwKv} container "$(systemd-detect-virt -c)"; fi
if command -v apt-get >/dev/null; then echo apt=yes; fi

if command -v systemctl >/dev/null; then
  for hw_unit in k3s k3s-agent; do
    case $(systemctl is-active $hw_unit) in active) echo "k3s=$hw_unit" ;; activating|reloading) echo starting=yes ;; esac
  done
fi
hw_etcd=/var/lib/rancher/k3s/server/db/etcd
if [ -f $hw_etcd/config ]; then
  ${hwKv} etcd "$(sed -n 's/^initial-advertise-peer-urls: *//p' $hw_etcd/config)"
  command -v curl >/dev/null &&
    ${hwKv} learner "$(curl -s -m ${TIMEOUT} http://127.0.0.1:2381/metrics | sed -n 's/^etcd_server_is_learner //p')"
fi
if [ -f /etc/rancher/node/password ]; then echo node_password=yes; fi
if systemctl -q is-active k3s 2>/dev/null && [ -x /usr/local/bin/k3s ]; then
  ${hwKv} nodes "$(timeout ${TIMEOUT} /usr/local/bin/k3s kubectl get nodes -o name 2>/dev/null | sed 's,^node/,,' | tr '\\n' ' ')"
fi
:`,
    parse: ({ stdout }) => parsePrerequisites(stdout),
    example: {
      disk: { size: 62.7, free: 58.1, mount: '/' },
      memoryCgroup: true,
      cmdline: undefined,
      vxlan: 'module',
      iptables: '1.8.9',
      forward: { policy: 'ACCEPT', podsAllowed: false },
      swap: [],
      synchronised: true,
      rtc: true,
      container: undefined,
      apt: true,
      k3s: undefined,
      starting: false,
      etcdAddress: undefined,
      learner: undefined,
      nodePassword: false,
      nodes: [],
    },
  });
}

function parsePrerequisites(output: string): Prerequisites {
  const state = parseState(output);
  const text = (key: string): string => state[key]?.trim() ?? '';
  const words = (key: string): readonly string[] => text(key).split(/\s+/).filter(Boolean);
  // Filesystem 1024-blocks Used Available Capacity Mounted-on
  const [, size, , free, , mount = ''] = words('disk');
  const gb = (kib: string): number => (Number(kib) * 1024) / 1e9;
  const vxlan = text('vxlan');
  const [, version] = /(\d+\.\d+\.\d+)/.exec(text('iptables')) ?? [];
  const [, address] = /https?:\/\/\[?([^\]/]+?)\]?:\d+/.exec(text('etcd')) ?? [];
  const container = text('container');
  return {
    disk: size === undefined || free === undefined ? undefined : { size: gb(size), free: gb(free), mount },
    memoryCgroup: text('memory_cgroup') === 'yes',
    cmdline: text('cmdline') ? { path: text('cmdline'), lines: Number(text('cmdline_lines')) } : undefined,
    vxlan: vxlan === 'there' || vxlan === 'module' || vxlan === 'missing' ? vxlan : 'unknown',
    iptables: version,
    forward: text('forward') ? { policy: text('forward'), podsAllowed: text('pods_allowed') === 'yes' } : undefined,
    swap: words('swap'),
    synchronised: text('synchronised') === '' ? undefined : text('synchronised') === 'yes',
    rtc: text('rtc') === 'yes',
    container: container === '' || container === 'none' ? undefined : container,
    apt: text('apt') === 'yes',
    k3s: text('k3s') === '' ? undefined : text('k3s') === 'k3s' ? 'server' : 'agent',
    starting: text('starting') === 'yes',
    etcdAddress: address,
    learner: text('learner') === '' ? undefined : text('learner') === '1',
    nodePassword: text('node_password') === 'yes',
    nodes: words('nodes'),
  };
}
