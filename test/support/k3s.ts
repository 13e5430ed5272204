/**
 * k3s itself on a lab's hosts: its binary, a config.yaml and its installer's unit, with no role in between. What it does
 * then is asserted of the real one and of the stand-in (lab/k3s/README.md).
 */
import { stringify } from 'yaml';
import { k3sVersion } from '../../lab/artifacts.ts';
import type { ExecResult, LabHost } from '../../lab/host.ts';
import type { Lab } from '../../lab/lab.ts';

/** The secret that servers and agents of these tests share. */
export const TOKEN = 'labSecretToken0123456789';

/** What the servers of these tests all have in their config.yaml, besides cluster-init or server. */
export const SERVER = { token: TOKEN, 'write-kubeconfig-mode': '0600', disable: ['traefik', 'metrics-server'] };

/** Variables of a unit's environment. */
type Environment = Readonly<Record<string, string>>;

/** The unit that k3s's installer writes, and journald keeps every line of: an outage makes thousands. */
const unit = (kind: string, environment: Environment): string => `[Unit]
Description=Lightweight Kubernetes
Wants=network-online.target
After=network-online.target

[Install]
WantedBy=multi-user.target

[Service]
Type=notify
KillMode=process
Delegate=yes
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
LogRateLimitIntervalSec=0
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
ExecStart=/usr/local/bin/k3s ${kind}
${Object.entries(environment)
  .map(([name, value]) => `Environment=${name}=${value}\n`)
  .join('')}`;

/** Puts k3s on a host as the unit `k3s`; its settings come by {@link configure}, and nothing is started yet. */
export async function putK3s(
  lab: Lab,
  host: LabHost,
  { kind = 'server', environment = {} }: { kind?: 'server' | 'agent'; environment?: Environment } = {},
): Promise<void> {
  const file = host.shape.arch === 'amd64' ? 'k3s' : `k3s-${host.shape.arch}`;
  await host.read(
    `curl -fsS -o /usr/local/bin/k3s ${lab.mirror}/${k3sVersion}/${file} && chmod 755 /usr/local/bin/k3s`,
  );
  await write(host, '/etc/systemd/system/k3s.service', unit(kind, environment));
  await host.read('systemctl daemon-reload');
}

/** Puts the lab's images where k3s imports them from: as the archive is, or packed otherwise. */
export async function putImages(lab: Lab, host: LabHost, packing: '.tar.zst' | '.tar.gz' | '.tar'): Promise<void> {
  const images = '/var/lib/rancher/k3s/agent/images';
  const archive = `k3s-airgap-images-${host.shape.arch}.tar`;
  const pack = { '.tar.zst': 'cat', '.tar.gz': 'zstd -dc | gzip -1', '.tar': 'zstd -dc' }[packing];
  await host.read(
    `mkdir -p ${images} && curl -fsS ${lab.mirror}/${k3sVersion}/${archive}.zst | ${pack} > ${images}/${archive}${packing.slice(4)}`,
  );
}

/** Writes config.yaml; what only the lab's hosts need stands in a drop-in beside it. */
export async function configure(host: LabHost, settings: object): Promise<void> {
  await write(host, '/etc/rancher/k3s/config.yaml', stringify(settings));
}

/** Starts k3s by its unit and waits as long as systemctl does: until it is ready or has failed. */
export function startK3s(host: LabHost): Promise<ExecResult> {
  return host.exec('systemctl start k3s');
}

/** A property of the unit, such as `Result`. */
export function unitSays(host: LabHost, property: string): Promise<string> {
  return host.read(`systemctl show k3s -p ${property} --value`);
}

/** What the unit logged, k3s's own lines and systemd's about it; since a moment, where one is given (`Date.now()`). */
export function journal(host: LabHost, since = 0): Promise<string> {
  return host.read(`journalctl -u k3s -o cat --no-pager --since @${(since / 1000).toFixed(3)}`);
}

/** Whether the lab serves the stand-in, which names itself. Some rows are only about it. */
export async function isStandIn(host: LabHost): Promise<boolean> {
  return /\(standin\)/.test(await host.read('k3s --version'));
}

async function write(host: LabHost, path: string, text: string): Promise<void> {
  const { code, stderr } = await host.exec(
    `mkdir -p "$(dirname ${path})" && umask 077 && cat > ${path} && chmod 600 ${path}`,
    { input: text },
  );
  if (code !== 0) throw new Error(`${host.name}: can't write ${path}: ${stderr}`);
}
