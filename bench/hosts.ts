/**
 * The bench's own lab. Its hosts need more than other lab hosts: python3-apt, and an sshd that takes many connections.
 */
import { existsSync } from 'node:fs';
import { Lab } from '../lab/lab.ts';
import type { Say } from '../lab/local.ts';
import { allStates } from '../lab/names.ts';

/**
 * The lab's name. With the process ID in it, a bench can tell the labs of killed benches from those of running ones.
 */
const NAME = `bench-${process.pid}`;

/** Takes down this bench's lab, and those of benches that were killed. */
export async function removeLabs(): Promise<void> {
  for (const { name } of allStates()) {
    const [, owner] = /^bench-(\d+)$/.exec(name) ?? [];
    if (owner !== undefined && (name === NAME || !existsSync(`/proc/${owner}`))) await Lab.open(name).down();
  }
}

/** Boots the hosts. */
export async function bootHosts(count: number, say: Say): Promise<Lab> {
  await removeLabs();
  const hosts = Array.from({ length: count }, (_, i) => ({ name: `bench-${i + 1}`, user: 'root' as const }));
  const lab = await Lab.up({ name: NAME, hosts, k3s: false }, say);
  try {
    for (const host of lab.hosts) {
      await host.read(
        `set -e
        apt-get -q update >/dev/null
        DEBIAN_FRONTEND=noninteractive apt-get -q -y install python3-apt curl socat procps iproute2 >/dev/null
        echo 'MaxStartups 1000' > /etc/ssh/sshd_config.d/30-bench.conf
        systemctl restart ssh`,
      );
    }
  } catch (error) {
    await lab.down();
    throw error;
  }
  return lab;
}

/** The `.bashrc` that a host's shell reads when ssh starts it. */
export type LoginRc = 'light' | 'heavy';

/**
 * The heavy file starts sixty programs and reads their output, as version managers and completions do. The light one is
 * Debian's, which does nothing.
 */
export async function setLoginRc(lab: Lab, rc: LoginRc): Promise<void> {
  const heavy = 'for n in $(seq 60); do BENCH_RC=$(uname -s); done; unset BENCH_RC';
  for (const host of lab.hosts) {
    await host.read(`[ -e /root/.bashrc.light ] || cp -a /root/.bashrc /root/.bashrc.light
      cp -a /root/.bashrc.light /root/.bashrc
      ${rc === 'heavy' ? `printf '%s\\n' '${heavy}' >> /root/.bashrc` : ''}`);
  }
}
