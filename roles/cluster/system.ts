/** What kind of machine a host is. */
import { type Fact, fact, sh } from '../../engine/index.ts';
import { hwKv, parseState } from '../../engine/state.ts';

/** Architectures as k3s, Debian and Go name them; `other` is one that k3s has no release for. */
export type Architecture = 'amd64' | 'arm64' | 'arm' | 'other';

/** What {@link system} finds. */
export interface System {
  readonly arch: Architecture;
  /** `uname -m`. */
  readonly machine: string;
  /** ID and VERSION_ID of os-release, `debian` and `12`; empty where the host has none. */
  readonly os: {
    readonly id: string;
    readonly like: readonly string[];
    readonly version: string;
    readonly name: string;
  };
  readonly kernel: string;
  readonly hostname: string;
  /** MiB of memory that the kernel has. */
  readonly memoryMiB: number;
  /** Processors that it may use. */
  readonly cpus: number;
  /** Differs after every boot. */
  readonly bootId: string;
  /** Empty where the host has none. */
  readonly machineId: string;
  /** The board's or virtual machine's own id; empty where there is none or it can't be read. */
  readonly productUuid: string;
  /** Model of a single-board computer (`Raspberry Pi 4 Model B Rev 1.4`), from the device tree; else empty. */
  readonly model: string;
  /** Does systemd run it? */
  readonly systemd: boolean;
  /** Its clock when it answered: seconds since 1970, UTC. */
  readonly clock: number;
  /**
   * Seconds by which its clock is ahead of the controller's, behind where negative; exact to the delay of the network.
   */
  readonly clockOffset: number;
}

/** `uname -m` to {@link Architecture}. */
const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  x86_64: 'amd64',
  aarch64: 'arm64',
  arm64: 'arm64',
  armv7l: 'arm',
  armv8l: 'arm',
};

/** Architecture, operating system, memory, identity and clock of a host. Needs a POSIX shell, /proc and sed. */
export const system: Fact<System> = fact({
  name: 'system',
  script: sh`
ID= ID_LIKE= VERSION_ID= PRETTY_NAME=
for hw_file in /etc/os-release /usr/lib/os-release; do
  if [ -r "$hw_file" ]; then . "$hw_file"; break; fi
done
${hwKv} os_id "$ID"; ${hwKv} os_like "$ID_LIKE"; ${hwKv} os_version "$VERSION_ID"; ${hwKv} os_name "$PRETTY_NAME"
${hwKv} machine "$(uname -m)"; ${hwKv} kernel "$(uname -r)"; ${hwKv} hostname "$(uname -n)"
${hwKv} memory_kib "$(sed -n 's/^MemTotal: *\\([0-9]*\\).*/\\1/p' /proc/meminfo)"
${hwKv} cpus "$(nproc 2>/dev/null || grep -c ^processor /proc/cpuinfo)"
${hwKv} boot_id "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
${hwKv} machine_id "$(cat /etc/machine-id 2>/dev/null)"
${hwKv} product_uuid "$(cat /sys/class/dmi/id/product_uuid 2>/dev/null)"
${hwKv} model "$(tr -d '\\000' 2>/dev/null </proc/device-tree/model)"
if [ -d /run/systemd/system ]; then echo systemd=yes; else echo systemd=no; fi
${hwKv} clock "$(date +%s.%N)"`,
  parse: ({ stdout, at }) => parseSystem(stdout, at),
  example: {
    arch: 'amd64',
    machine: 'x86_64',
    os: { id: 'debian', like: [], version: '12', name: 'Debian GNU/Linux 12 (bookworm)' },
    kernel: '6.1.0-28-amd64',
    hostname: 'node-1',
    memoryMiB: 7936,
    cpus: 4,
    bootId: '7a1d2c1e-6f0b-4b43-9a57-5a3d8f3b1c11',
    machineId: 'b08dfa6083e7567a1921a715000001fb',
    productUuid: '',
    model: '',
    systemd: true,
    clock: 1_790_000_000,
    clockOffset: 0,
  },
});

function parseSystem(output: string, at: number | undefined): System {
  const state = parseState(output);
  const text = (key: string): string => state[key] ?? '';
  // busybox's date may not know %N and print it as it is.
  const clock = Number.parseFloat(text('clock'));
  if (Number.isNaN(clock)) throw new Error(`date printed ${text('clock') || 'nothing'}`);
  return {
    arch: ARCHITECTURES[text('machine')] ?? 'other',
    machine: text('machine'),
    os: {
      id: text('os_id'),
      like: text('os_like').split(' ').filter(Boolean),
      version: text('os_version'),
      name: text('os_name'),
    },
    kernel: text('kernel'),
    hostname: text('hostname'),
    memoryMiB: Math.floor(Number(text('memory_kib')) / 1024),
    cpus: Number(text('cpus')),
    bootId: text('boot_id'),
    machineId: text('machine_id'),
    productUuid: text('product_uuid'),
    model: text('model'),
    systemd: text('systemd') === 'yes',
    clock,
    clockOffset: at === undefined ? 0 : clock - at,
  };
}
