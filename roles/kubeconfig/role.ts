/** kubeconfig: the cluster's admin kubeconfig, written on the controller: a play for `localhost`, without becoming root. */
import { resolve } from 'node:path';
import {
  type AskContext,
  defineRole,
  type Fact,
  fact,
  fromEach,
  Secret,
  sh,
  task,
  UserError,
} from '../../engine/index.ts';
import { file } from '../../engine/resources/file.ts';
import { serversOf } from '../cluster/groups.ts';
import { network, nodeIps } from '../cluster/network.ts';
import { unavailable } from '../k3s/token.ts';
import { vars } from './vars.ts';

/** The kubeconfig that k3s writes on a server; undefined where there is none. */
const serverKubeconfig: Fact<Secret | undefined> = fact({
  name: 'kubeconfig',
  script: sh`cat /etc/rancher/k3s/k3s.yaml 2>/dev/null || true`,
  parse: ({ stdout }) => (stdout.includes('client-key-data') ? new Secret(stdout) : undefined),
  example: undefined,
});

/** The role. */
export const kubeconfig = defineRole({
  name: 'kubeconfig',
  description: 'Writes the kubeconfig of the cluster on this machine, mode 0600, with the address that clients use.',
  hosts: 'localhost',
  vars,
  stages: (stage) => [
    stage({
      name: 'fetch',
      facts: (context) => {
        const servers = wantedPath(context) === undefined ? [] : serversOf(context);
        return {
          kubeconfigs: fromEach(servers, serverKubeconfig, 'omit'),
          networks: fromEach(servers, network, 'omit'),
        };
      },
      tasks: ({ facts, vars, ...context }) => {
        const path = wantedPath({ vars, ...context });
        if (path === undefined) return [];
        const servers = serversOf(context);
        const from = servers.find(({ name }) => facts.kubeconfigs.get(name) !== undefined);
        const found = from && facts.kubeconfigs.get(from.name);
        const vip = servers[0]?.var('kube_vip_address');
        const ip = from && nodeIps([from], facts.networks).get(from.name);
        const address = typeof vip === 'string' ? vip : (ip ?? from?.address);
        const target = resolve(path);
        const owner = String(process.getuid?.() ?? 0);
        const group = String(process.getgid?.() ?? 0);
        if (!found || address === undefined) {
          const nothing = { what: 'no server has a kubeconfig yet', tryThis: 'install the cluster first' };
          return [
            task(
              'Write the kubeconfig',
              unavailable(sh`echo 'no server has a kubeconfig' >&2; exit 1`, { id: target, creates: target }, nothing),
            ),
          ];
        }
        const content = new Secret(found.reveal().replaceAll('https://127.0.0.1:6443', `https://${address}:6443`));
        return [task('Write the kubeconfig', file({ path: target, content, mode: '0600', owner, group }))];
      },
    }),
  ],
});

/** Where to write it: the variable is the cluster's (group_vars/k3s_cluster.yml), and localhost is not in that group. */
function wantedPath(
  context: Pick<AskContext<{ readonly k3s_fetch_kubeconfig?: string | undefined }>, 'vars' | 'group'>,
) {
  const path = context.vars.k3s_fetch_kubeconfig ?? serversOf(context)[0]?.var('k3s_fetch_kubeconfig');
  if (path === undefined || typeof path === 'string') return path || undefined;
  throw new UserError({
    what: 'k3s_fetch_kubeconfig is no path',
    allowed: 'a file name on this machine: ./kubeconfig',
  });
}
