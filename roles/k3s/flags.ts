/**
 * The settings of k3s (`k3s server --help`, v1.36): which an agent knows too, which must be the same on all servers,
 * which we set ourselves.
 */
import { didYouMean } from '../../engine/errors.ts';
import { listOf, type Settings } from './state.ts';

/** Settings of `k3s agent`, which `k3s server` has too. An agent refuses to start with any other. */
const AGENT = (
  'debug v vmodule log alsologtostderr node-name with-node-id node-label node-taint docker container-runtime-endpoint ' +
  'default-runtime disable-default-registry-endpoint nonroot-devices pause-image snapshotter private-registry ' +
  'system-default-registry image-credential-provider-bin-dir image-credential-provider-config airgap-extra-registry ' +
  'node-external-ip node-internal-dns node-external-dns resolv-conf flannel-iface flannel-conf flannel-cni-conf vpn-auth ' +
  'vpn-auth-file kubelet-arg kube-proxy-arg protect-kernel-defaults rootless prefer-bundled-bin selinux lb-server-port ' +
  'bind-address disable-apiserver-lb enable-pprof'
).split(' ');

/** Settings of `k3s server` alone. */
const SERVER = (
  'https-listen-port advertise-address advertise-port tls-san-security service-node-port-range cluster-dns cluster-domain ' +
  'flannel-ipv6-masq flannel-external-ip egress-selector-mode servicelb-namespace write-kubeconfig write-kubeconfig-mode ' +
  'write-kubeconfig-group helm-job-image agent-token-file kube-apiserver-arg etcd-arg kube-controller-manager-arg ' +
  'kube-scheduler-arg kube-cloud-controller-manager-arg kine-tls etcd-expose-metrics etcd-disable-snapshots ' +
  'etcd-snapshot-name etcd-snapshot-schedule-cron etcd-snapshot-reconcile-interval etcd-snapshot-retention ' +
  'etcd-snapshot-dir etcd-snapshot-compress etcd-s3 etcd-s3-endpoint etcd-s3-endpoint-ca etcd-s3-skip-ssl-verify ' +
  'etcd-s3-access-key etcd-s3-secret-key etcd-s3-session-token etcd-s3-bucket etcd-s3-bucket-lookup-type etcd-s3-region ' +
  'etcd-s3-folder etcd-s3-proxy etcd-s3-config-secret etcd-s3-insecure etcd-s3-timeout etcd-s3-retention ' +
  'default-local-storage-path disable disable-scheduler disable-cloud-controller disable-kube-proxy disable-network-policy ' +
  'disable-helm-controller embedded-registry supervisor-metrics secrets-encryption secrets-encryption-provider'
).split(' ');

/** Settings that have a variable or a task of their own, and what to use instead of `k3s_config`. */
const OURS: Readonly<Record<string, string>> = {
  token: 'k3s_token, or nothing: it is made and passed on by itself',
  'token-file': 'k3s_token',
  'agent-token': 'agent-token-file: config.yaml is no place for a secret',
  server: 'nothing: which server to join is found out',
  'cluster-init': 'nothing: which server begins is found out',
  'cluster-reset': 'nothing: a restore is an operation of its own',
  'cluster-reset-restore-path': 'nothing: a restore is an operation of its own',
  'tls-san': 'k3s_tls_san',
  'node-ip': 'node_ip',
  'cluster-cidr': 'k3s_cluster_cidr',
  'service-cidr': 'k3s_service_cidr',
  'flannel-backend': 'k3s_flannel_backend',
  'data-dir': `nothing: mount the disk you want at /var/lib/rancher`,
  'datastore-endpoint': 'nothing: this role is for embedded etcd',
  'datastore-cafile': 'nothing: this role is for embedded etcd',
  'datastore-certfile': 'nothing: this role is for embedded etcd',
  'datastore-keyfile': 'nothing: this role is for embedded etcd',
  'disable-etcd': 'nothing: every server of this role has etcd',
  'disable-apiserver': 'nothing: every server of this role has an API server',
  'disable-controller-manager': 'nothing: every server of this role is a whole one',
  'disable-agent': 'nothing: servers are nodes too, since kube-vip runs on them as a pod',
  config: 'nothing: /etc/rancher/k3s/config.yaml is what is read',
};

/**
 * What must be the same on all servers, with k3s's defaults (k3s-ha-facts.md, section 2). The value is what an unset
 * one counts as.
 */
export const criticalFlags: Readonly<Record<string, unknown>> = {
  'agent-token-file': '',
  'cluster-cidr': '10.42.0.0/16',
  'service-cidr': '10.43.0.0/16',
  'cluster-dns': '',
  'cluster-domain': 'cluster.local',
  'disable-cloud-controller': false,
  'disable-helm-controller': false,
  'disable-network-policy': false,
  disable: [],
  'disable-kube-proxy': false,
  'egress-selector-mode': 'agent',
  'embedded-registry': false,
  'flannel-backend': 'vxlan',
  'flannel-external-ip': false,
  'flannel-ipv6-masq': false,
  'secrets-encryption': false,
  'secrets-encryption-provider': 'aescbc',
};

/** A setting without the `+` that appends. */
const bare = (key: string): string => key.replace(/\+$/, '');

/** Settings out of `k3s_config` that this kind of node knows: an agent does not get those of servers. */
export function settingsFor(kind: 'server' | 'agent', config: Settings): Settings {
  if (kind === 'server') return config;
  return Object.fromEntries(Object.entries(config).filter(([key]) => AGENT.includes(bare(key))));
}

/** What is wrong with a key of `k3s_config`, and what to do. */
export interface BadSetting {
  readonly key: string;
  readonly what: string;
  readonly hint: string;
}

/**
 * Keys of `k3s_config` that k3s does not know (a server would ignore them silently), or that are not the user's to set.
 */
export function badSettings(config: Settings): readonly BadSetting[] {
  return Object.keys(config).flatMap((key): BadSetting[] => {
    const instead = OURS[bare(key)];
    if (instead) return [{ key, what: `"${key}" does not belong into k3s_config`, hint: `use ${instead}` }];
    if (AGENT.includes(bare(key)) || SERVER.includes(bare(key))) return [];
    const near = didYouMean(bare(key), [...AGENT, ...SERVER]);
    const hint = near ? `did you mean "${near}"?` : '`k3s server --help` lists the settings';
    return [{ key, what: `k3s has no setting "${key}"`, hint }];
  });
}

/** A setting in which two configurations differ, as people write it. */
export interface FlagDifference {
  readonly flag: string;
  readonly here: string;
  readonly there: string;
}

/** The critical flags in which two servers differ. An unset flag counts as its default. */
export function criticalDifferences(here: Settings, there: Settings): readonly FlagDifference[] {
  return Object.entries(criticalFlags).flatMap(([flag, byDefault]) => {
    const [a, b] = [here, there].map((settings) => normal(flag, settings[flag] ?? byDefault));
    return a === undefined || b === undefined || a === b ? [] : [{ flag, here: a, there: b }];
  });
}

/** One spelling for one meaning: lists sorted, `"true"` a boolean, the default DNS address left out. */
export function normal(flag: string, value: unknown): string {
  if (Array.isArray(value) || Array.isArray(criticalFlags[flag])) {
    const items = listOf(value).flatMap((item) => String(item).split(','));
    return `[${[...new Set(items.filter(Boolean))].sort().join(', ')}]`;
  }
  return String(value);
}
