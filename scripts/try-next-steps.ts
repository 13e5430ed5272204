/** What `npm run try` prints once its cluster is up. */
import { dirname, join } from 'node:path';
import { padEnd, widthOf } from '../engine/columns.ts';
import type { K3sSource } from '../lab/artifacts.ts';

/** What the text is about. */
export interface TriedCluster {
  /** The name of its lab. */
  readonly lab: string;
  readonly playbook: string;
  /** The path of its inventory, as the user would type it. */
  readonly inventory: string;
  /** The virtual address of its API. */
  readonly vip: string;
  /** Where its k3s came from; undefined when no one knows. */
  readonly k3sSource: K3sSource | undefined;
}

/** The commands to look around with, and what the cluster is made of. */
export function nextSteps({ lab, playbook, inventory, vip, k3sSource }: TriedCluster): string {
  const run = `npx tsx ${playbook} -i ${inventory}`;
  const command = (words: string): string => `npm run lab -- ${words}`;
  const steps: readonly (readonly [command: string, comment: string])[] = [
    [command(`ssh node-1 --name ${lab}`), 'then: k3s kubectl get nodes,pods -A -o wide'],
    [run, 'again: nothing changes'],
    [`npx tsx scripts/run.ts all -i ${inventory} -b -- uptime`, 'a command on every host'],
    [
      `${run} -e '{"k3s_tls_san": ["k3s.example.org"]}'`,
      'a setting: k3s restarts, one host at a time (a run without -e takes it back)',
    ],
    [command(`fault kill node-1 --name ${lab}`), 'pull a plug: the address moves within about 22 s'],
    [command(`ssh node-2 --name ${lab} -- k3s kubectl get nodes`), 'the API answers without node-1'],
    [command(`fault start node-1 --name ${lab}`), 'plug it in again'],
    [command(`down --name ${lab}`), 'takes it all away'],
  ];
  return `
The cluster is up. Its API answers on https://${vip}:6443.${k3sSource ? ` ${OF_SOURCE[k3sSource]}` : ''}

Look around:

${aligned(steps)}

To keep a setting, write it to ${join(dirname(inventory), 'group_vars/k3s_cluster.yml')}.`;
}

const OF_SOURCE: Readonly<Record<K3sSource, string>> = {
  release: 'It runs the real k3s.',
  K3S_BIN: 'It runs the k3s that K3S_BIN names.',
  'stand-in': `It runs the stand-in for k3s, since k3s could not be
downloaded: real etcd, API server and containerd, but the kubelet of an emulated host only pretends, and pods whose images
are not in the lab (local-path-provisioner) do not start. See lab/k3s/README.md.`,
};

/** Columns up to which a command has its comment on its own line. */
const COMMAND_WIDTH = 70;

/** Commands with their comments in one column; the comment of a long command is on the line above it. */
function aligned(steps: readonly (readonly [command: string, comment: string])[]): string {
  const short = steps.map(([command]) => widthOf(command)).filter((width) => width <= COMMAND_WIDTH);
  const column = Math.max(0, ...short);
  return steps
    .map(([command, comment]) =>
      widthOf(command) > column ? `  # ${comment}\n  ${command}` : `  ${padEnd(command, column)}  # ${comment}`,
    )
    .join('\n');
}
