/** config.yaml and the unit, from variables and facts. */

import type { Infer } from '../../engine/index.ts';
import { yaml } from '../../engine/lazy-packages.ts';
import { template } from '../../engine/template.ts';
import type { Network } from '../cluster/network.ts';
import { settingsFor } from './flags.ts';
import type { Settings } from './state.ts';
import { TOKEN_FILE } from './token.ts';
import type { k3sServerVars, k3sVars } from './vars.ts';

/** The variables of a node that its configuration is made from. */
export type NodeVars = Infer<{ readonly properties: typeof k3sVars }>;

/** The variables of a server. */
export type ServerVars = Infer<{ readonly properties: typeof k3sVars & typeof k3sServerVars }>;

/** What else a node's configuration depends on. */
export interface NodeConfig {
  /** Its own address. */
  readonly nodeIp: string;
  /** Where to join: `https://192.0.2.11:6443`; undefined for the server that begins the cluster. */
  readonly join: string | undefined;
  /** The interface of the node's address, where that is not the one of the default route; else undefined. */
  readonly flannelIface: string | undefined;
}

const configTemplate = template(new URL('../../templates/k3s/config.yaml.hbs', import.meta.url));
const unitTemplate = template(new URL('../../templates/k3s/unit.service.hbs', import.meta.url));

/** A server's settings: what goes into its certificate besides what k3s adds by itself, and how kubeconfig is kept. */
export function serverSettings(vars: ServerVars): Settings {
  return { 'write-kubeconfig-mode': '0600', ...vars.k3s_config };
}

/** Every name and address that the certificate of the API must have for its clients. */
export function tlsSan(vars: ServerVars): readonly string[] {
  return [...new Set([...(vars.kube_vip_address ? [vars.kube_vip_address] : []), ...vars.k3s_tls_san])];
}

/** config.yaml of a server. */
export function serverConfig(vars: ServerVars, node: NodeConfig) {
  return render(node, serverSettings(vars), {
    isServer: true,
    clusterInit: node.join === undefined,
    tlsSan: tlsSan(vars),
    clusterCidr: vars.k3s_cluster_cidr,
    serviceCidr: vars.k3s_service_cidr,
    flannelBackend: vars.k3s_flannel_backend,
  });
}

/** config.yaml of an agent. */
export function agentConfig(vars: NodeVars, node: NodeConfig) {
  return render(node, settingsFor('agent', vars.k3s_config), {
    isServer: false,
    clusterInit: false,
    tlsSan: [],
    clusterCidr: '',
    serviceCidr: '',
    flannelBackend: '',
  });
}

/** The settings of a server as k3s will have them, to be compared with another server's. */
export function effectiveSettings(vars: ServerVars): Settings {
  return {
    'cluster-cidr': vars.k3s_cluster_cidr,
    'service-cidr': vars.k3s_service_cidr,
    'flannel-backend': vars.k3s_flannel_backend,
    'tls-san': tlsSan(vars),
    ...serverSettings(vars),
  };
}

/** The interface to name to flannel, which by itself takes that of the default route; undefined where that is right. */
export function flannelIfaceOf(ip: string, found: Network | undefined): string | undefined {
  const iface = found?.addresses.find(({ address }) => address === ip)?.iface;
  return iface === found?.defaultRoute?.iface ? undefined : iface;
}

/** The unit: `k3s.service` or `k3s-agent.service`. */
export function unitFile(kind: 'server' | 'agent') {
  return unitTemplate({ kind });
}

function render(node: NodeConfig, settings: Settings, server: Readonly<Record<string, unknown>>) {
  return configTemplate({
    ...server,
    joinUrl: node.join ?? '',
    tokenFile: TOKEN_FILE,
    nodeIp: node.nodeIp,
    flannelIface: node.flannelIface ?? '',
    settings:
      Object.keys(settings).length > 0
        ? yaml().stringify(settings, { sortMapEntries: true, lineWidth: 0 }).trimEnd()
        : '',
  });
}
