/** What `kubeconfig` does: a server's kubeconfig, with the address that clients use, as a file of the controller. */
import { resolve } from 'node:path';
import {
  type AskContext,
  type Fact,
  fact,
  fromEach,
  type RoleStages,
  Secret,
  SecretText,
  sh,
  task,
  UserError,
} from '../../engine/index.ts';
import { file } from '../../engine/resources/file.ts';
import { serversOf } from '../cluster/groups.ts';
import { network, nodeIps } from '../cluster/network.ts';
import { unavailable } from '../k3s/token.ts';
import type { vars } from './vars.ts';

/** The kubeconfig that k3s writes on a server, in pieces, what lets in closed; undefined where there is none. */
export const serverKubeconfig: Fact<readonly (string | Secret)[] | undefined> = fact({
  name: 'kubeconfig',
  script: sh`cat /etc/rancher/k3s/k3s.yaml 2>/dev/null || true`,
  parse: ({ stdout }) => (stdout.includes('client-key-data') ? closed(stdout) : undefined),
  example: undefined,
});

/** Its ordinary lines are no secret: they are in many files, and would be masked there. */
function closed(text: string): readonly (string | Secret)[] {
  // What precedes, the key, its value; again and again.
  const pieces = text.split(/^(\s*(?:client-key-data|token|password):\s*)(\S+)$/m);
  return pieces.map((piece, i) => (i % 3 === 2 ? new Secret(piece) : piece));
}

/** Who runs this, for whom the file is: `uid gid`. */
const me = fact({
  name: 'who runs this',
  script: sh`echo "$(id -u) $(id -g)"`,
  parse: ({ stdout }) => {
    const [owner = '', group = ''] = stdout.trim().split(' ');
    return { owner, group };
  },
  example: { owner: '1000', group: '1000' },
});

/** What it does. */
export const stages: RoleStages<typeof vars> = (stage) => [
  stage({
    name: 'fetch',
    facts: (context) => {
      const wanted = wantedPath(context) !== undefined;
      const servers = wanted ? serversOf(context) : [];
      return {
        me: fromEach(wanted ? [context.host] : [], me),
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
      if (!found || address === undefined) {
        const nothing = { what: 'no server has a kubeconfig yet', hint: 'install the cluster first' };
        return [
          task(
            'Write the kubeconfig',
            unavailable(sh`echo 'no server has a kubeconfig' >&2; exit 1`, { id: target, creates: target }, nothing),
          ),
        ];
      }
      const pieces = found.map((piece) =>
        typeof piece === 'string' ? piece.replaceAll('https://127.0.0.1:6443', `https://${address}:6443`) : piece,
      );
      const content = new SecretText(pieces);
      return [
        task('Write the kubeconfig', file({ path: target, content, mode: '0600', ...facts.me.get(context.host.name) })),
      ];
    },
  }),
];

/**
 * Where to write it: the variable is the cluster's (group_vars/k3s_cluster.yml), and localhost is not in that group.
 */
function wantedPath(
  context: Pick<AskContext<{ readonly k3s_fetch_kubeconfig?: string | undefined }>, 'vars' | 'group'>,
) {
  const path = context.vars.k3s_fetch_kubeconfig ?? serversOf(context)[0]?.var('k3s_fetch_kubeconfig');
  if (path === undefined || typeof path === 'string') return path || undefined;
  throw new UserError({
    what: 'k3s_fetch_kubeconfig is no path',
    expected: 'a file name on this machine: ./kubeconfig',
  });
}
