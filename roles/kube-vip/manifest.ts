/**
 * kube-vip's objects, from variables: rendered from templates/kube-vip, read back as YAML. Pure but for reading the
 * templates.
 */

import { type Infer, UserError } from '../../engine/index.ts';
import { yaml } from '../../engine/lazy-packages.ts';
import type { KubernetesManifest } from '../../engine/resources/kubernetes.ts';
import { type Render, template } from '../../engine/template.ts';
import { KUBE_VIP, LEASE } from '../k3s/vip.ts';
import type { vars } from './vars.ts';

/** The role's variables. */
export type KubeVipVars = Infer<typeof vars>;

/** A lease in seconds. */
export interface Lease {
  /** After so long without renewal another server takes the address. */
  readonly duration: number;
  /** A holder that cannot renew for so long gives up. */
  readonly renew: number;
  readonly retry: number;
}

/** The lease that `kube_vip_lease` means. @throws UserError when its numbers are no lease. */
export function leaseOf(choice: string): Lease {
  const words: Readonly<Record<string, string>> = { calm: '15/10/2', fast: '5/3/1' };
  const [duration = 0, renew = 0, retry = 0] = (words[choice] ?? choice).split('/').map(Number);
  if (duration > renew && renew > retry && retry > 0) return { duration, renew, retry };
  throw new UserError({
    what: `kube_vip_lease: ${choice} is no lease`,
    expected: 'calm, fast, or duration/renew/retry in seconds, each greater than the next: 15/10/2',
  });
}

/** What a lease costs, in words. The figures for calm and fast were measured (k3s-observed.md). */
export function leaseCost(choice: string): string {
  const { duration, renew, retry } = leaseOf(choice);
  const away =
    choice === 'calm' ? '22 s' : choice === 'fast' ? '7 s' : `about ${Math.round(duration * 1.35 + retry)} s`;
  return (
    `lease ${duration}/${renew}/${retry}: when its holder is lost the API is away from its address for up to ${away}; ` +
    `a disk or network that stalls for ${renew} s moves it`
  );
}

const rbac = template(new URL('../../templates/kube-vip/rbac.yaml.hbs', import.meta.url));
const daemonSet = template(new URL('../../templates/kube-vip/daemonset.yaml.hbs', import.meta.url));

/** ServiceAccount, ClusterRole, binding and DaemonSet. `iface` undefined: kube-vip takes the default route's. */
export function manifest(
  config: KubeVipVars,
  address: string,
  iface: string | undefined,
): readonly KubernetesManifest[] {
  const bgp = config.kube_vip_mode === 'bgp' ? config.kube_vip_bgp : undefined;
  return [
    ...objects(rbac, {}),
    ...objects(daemonSet, {
      name: KUBE_VIP,
      image: `${config.kube_vip_image}:${config.kube_vip_version}`,
      address,
      iface: bgp ? 'lo' : (iface ?? ''),
      arp: !bgp,
      leaseName: LEASE,
      lease: leaseOf(config.kube_vip_lease),
      bgp: bgp ? { as: bgp.as, peers: bgp.peers.join(',') } : false,
    }),
  ];
}

function objects(render: Render, data: Readonly<Record<string, unknown>>): readonly KubernetesManifest[] {
  const rendered = render(data);
  const text = typeof rendered === 'string' ? rendered : rendered.reveal();
  return yaml()
    .parseAllDocuments(text)
    .map((document) => {
      const [error] = document.errors;
      if (error) throw error;
      return document.toJS() as KubernetesManifest;
    });
}
