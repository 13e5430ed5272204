/** Why a workload is not ready: what kubectl answers, read by a real shell. */
import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { kubernetesObject } from '../../../engine/resources/kubernetes.ts';
import { explainNotReady, remedyFor, workloadStatus } from '../../../engine/resources/workload-status.ts';
import { sh } from '../../../engine/script.ts';

/**
 * Pods as the jsonpath prints them: name, node, phase, ready, then reason and message of init containers and of
 * containers.
 */
const pod = (...fields: readonly string[]): string =>
  [...fields, ...Array<string>(8 - fields.length).fill('')].join('\t');

/** A kubectl with these pods, and the events of any object that it is asked for. */
function kubectlWith(dir: string, pods: readonly string[], events: readonly string[]) {
  const path = join(dir, 'kubectl');
  writeFileSync(join(dir, 'pods'), pods.map((line) => `${line}\n`).join(''));
  writeFileSync(join(dir, 'events'), events.map((line) => `${line}\n`).join(''));
  const script = `#!/bin/sh
echo "$*" >>${dir}/log
case "$*" in
  *'get pods'*) cat ${dir}/pods ;;
  *'get events'*) cat ${dir}/events ;;
  *rollout*) echo 'error: timed out waiting for the condition' >&2; exit 1 ;;
  *apply*) cat >/dev/null ;;
  *) exit 1 ;;
esac
`;
  writeFileSync(path, script);
  chmodSync(path, 0o755);
  return sh`${path}`;
}

const WORKLOAD = { kind: 'DaemonSet', name: 'kube-vip-ds', namespace: 'kube-system', podLabels: { app: 'kube-vip' } };

t.test('a pod that is not ready is named with its node, what it waits for, and its last event', async (t) => {
  const dir = t.testdir();
  const kubectl = kubectlWith(
    dir,
    [
      pod('ds-1', 'server-1', 'Running', 'True'),
      pod('ds-2', 'server-2', 'Pending', 'False', '', '', 'ImagePullBackOff', 'Back-off pulling image "x:1"'),
      pod('ds-3', 'server-3', 'Pending', 'False', 'PodInitializing'),
      pod('ds-4', '', 'Pending', ''),
    ],
    ['Pulling: Pulling image "x:1"', 'Failed: Failed to pull image "x:1": not found', 'Failed: Error: ErrImagePull'],
  );
  const run = spawnSync('sh', [], { input: workloadStatus(kubectl, [WORKLOAD]).standalone(), encoding: 'utf8' });
  const event = '; last event: Failed: Failed to pull image "x:1": not found';
  t.strictSame(run.stdout.split('\n'), [
    `ds-2 on server-2: ImagePullBackOff (Back-off pulling image "x:1")${event}`,
    `ds-3 on server-3: PodInitializing${event}`,
    `ds-4 on no node: Pending, not ready${event}`,
    '',
  ]);
  t.equal(run.stderr, '');
  t.match(remedyFor(run.stdout), /registry reachable from the node/);
});

t.test('no pod at all: the event of the workload itself says why', async (t) => {
  const events = ['FailedCreate: pods "ds-" is forbidden: exceeded quota'];
  const status = workloadStatus(kubectlWith(t.testdir(), [], events), [WORKLOAD]);
  const { stdout } = spawnSync('sh', [], { input: status.standalone(), encoding: 'utf8' });
  t.equal(stdout, `DaemonSet/kube-vip-ds has no pods; last event: ${events[0]}\n`);
});

t.test('many pods are not listed one by one, and ready ones not at all', async (t) => {
  const status = (pods: readonly string[]) => {
    const script = workloadStatus(kubectlWith(t.testdir(), pods, []), [WORKLOAD]);
    return spawnSync('sh', [], { input: script.standalone(), encoding: 'utf8' }).stdout;
  };
  t.equal(status([pod('a', 'n', 'Running', 'True'), pod('b', 'n', 'Succeeded', 'False')]), '');
  const lines = status(Array.from({ length: 9 }, (_, i) => pod(`p-${i}`, 'n', 'Pending', 'False')));
  t.match(lines, /^p-0 on n: Pending, not ready\np-1 .*\np-2 .*\nand more pods\n$/);
});

t.test('without an API nothing is said, and nothing fails', async (t) => {
  const status = workloadStatus(sh`false`, [WORKLOAD]);
  const { stdout, status: code } = spawnSync('sh', [], { input: status.standalone(), encoding: 'utf8' });
  t.equal(stdout, '');
  t.equal(code, 0);
});

t.test(
  'an object that is not ready in time fails with the pod, its node and the last event, and what to do',
  async (t) => {
    const kubectl = kubectlWith(
      t.testdir(),
      [pod('web-1', 'node-2', 'Pending', 'False', '', '', 'ErrImageNeverPull')],
      ['ErrImageNeverPull: Container image "web:1" is not present with pull policy of Never'],
    );
    const object = kubernetesObject({
      manifest: {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'web' },
        spec: { selector: { matchLabels: { app: 'web' } } },
      },
      kubectl,
      waitFor: { condition: 'rolled out', deadline: 1 },
    });
    const { status, stderr, stdout } = spawnSync('sh', [], { input: object.change({}).standalone(), encoding: 'utf8' });
    t.equal(status, 1);
    t.strictSame(object.explain?.({ exitCode: 1, stdout, stderr }), {
      what: 'Deployment/web was applied, but is not ready in time: web-1 on node-2: ErrImageNeverPull; last event: ErrImageNeverPull: Container image "web:1" is not present with pull policy of Never',
      hint: 'the node has no such image: correct its name, make the registry reachable from the node, or import the image there',
    });
    t.equal(explainNotReady('x', 'some other failure'), undefined);
  },
);
