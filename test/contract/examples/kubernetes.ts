/** Kubernetes objects, with the API server of k3s or of its stand-in. */
import { type KubernetesManifest, kubernetesAbsent, kubernetesObject } from '../../../engine/resources/kubernetes.ts';
import { Script, sh } from '../../../engine/script.ts';
import { Secret } from '../../../engine/secret.ts';
import type { Example } from '../example.ts';

const kubectl = sh`k3s kubectl`;
const password = new Secret('opens"everything-9');

const config = (data: Record<string, string>, name = 'hw-contract'): KubernetesManifest => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default' },
  data,
});

const namespace: KubernetesManifest = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'hw-contract' } };

const crd: KubernetesManifest = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'things.contract.example' },
  spec: {
    group: 'contract.example',
    names: { kind: 'Thing', plural: 'things' },
    scope: 'Namespaced',
    versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
  },
};

const apply = (manager: string, object: KubernetesManifest): Script =>
  sh`printf %s ${JSON.stringify(object)} | k3s kubectl apply --server-side --force-conflicts --field-manager=${manager} -f - >/dev/null || exit`;

const prepare = (...commands: Script[]): Script =>
  sh`k3s kubectl -n default delete configmap/hw-contract configmap/hw-second secret/hw-contract --ignore-not-found >/dev/null || exit\n${Script.join(commands)}`;

const state = sh`k3s kubectl -n default get configmap,secret -o ${'jsonpath={range .items[*]}{.kind} {.metadata.name} {.data}{"\\n"}{end}'} | grep hw-`;

export const objects: readonly Example[] = [
  {
    name: 'a new one',
    resource: kubernetesObject({ manifest: config({ a: '1' }), kubectl }),
    prepare: prepare(),
    state,
  },
  {
    name: 'another value',
    resource: kubernetesObject({ manifest: config({ a: '2' }), kubectl }),
    prepare: prepare(apply('heartwood', config({ a: '1' }))),
    state,
  },
  {
    name: 'a value that is no longer wanted',
    resource: kubernetesObject({ manifest: config({ a: '1' }), kubectl }),
    prepare: prepare(apply('heartwood', config({ a: '1', b: '2' }))),
    state,
  },
  {
    name: 'a value that another manager owns',
    resource: kubernetesObject({ manifest: config({ a: '2' }), kubectl }),
    prepare: prepare(apply('somebody', config({ a: '1' }))),
    state,
  },
  {
    name: 'one that is as wanted, beside what others added',
    resource: kubernetesObject({ manifest: config({ a: '1' }), kubectl }),
    prepare: prepare(apply('heartwood', config({ a: '1' })), apply('somebody', config({ b: '2' }))),
    holds: true,
    state,
  },
  {
    name: 'several',
    resource: kubernetesObject({ manifest: [config({ a: '1' }), config({ b: "it's\n$HOME" }, 'hw-second')], kubectl }),
    prepare: prepare(apply('heartwood', config({ a: '1' }))),
    state,
  },
  {
    name: 'a kind that is ready when it is established',
    resource: kubernetesObject({
      manifest: crd,
      kubectl,
      waitFor: { condition: 'condition=Established', deadline: 30 },
    }),
    prepare: prepare(sh`k3s kubectl delete crd things.contract.example --ignore-not-found >/dev/null`),
  },
  {
    name: 'one with a password in it',
    resource: kubernetesObject({
      manifest: {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'hw-contract', namespace: 'default' },
        stringData: { password },
      },
      kubectl,
    }),
    prepare: prepare(),
    state,
    secrets: [password, new Secret(Buffer.from(password.reveal()).toString('base64'))],
  },
  {
    name: 'one that is to go',
    resource: kubernetesAbsent({ kind: 'configmap', name: 'hw-contract', namespace: 'default', kubectl }),
    prepare: prepare(apply('x', config({ a: '1' }))),
    state,
  },
  {
    name: 'one that was never there',
    resource: kubernetesAbsent({ kind: 'configmap', name: 'hw-contract', namespace: 'default', kubectl }),
    prepare: prepare(),
    holds: true,
    state,
  },
  {
    name: 'one of a kind that was never there',
    resource: kubernetesAbsent({ kind: 'nosuchthings.contract.example', name: 'x', kubectl }),
    holds: true,
  },
  {
    name: 'one of an unknown kind',
    resource: kubernetesObject({
      manifest: { apiVersion: 'contract.example/v9', kind: 'Nothing', metadata: { name: 'x' } },
      kubectl,
    }),
    prepare: prepare(),
    state,
    fails: /does not know the kind Nothing/,
  },
  {
    name: 'one in a namespace that is not there',
    resource: kubernetesObject({
      manifest: { ...config({}), metadata: { name: 'x', namespace: 'hw-nowhere' } },
      kubectl,
    }),
    prepare: prepare(),
    state,
    fails: /namespace hw-nowhere is not there/,
  },
  {
    name: 'a field nobody knows',
    resource: kubernetesObject({ manifest: { ...config({ a: '1' }), datta: {} }, kubectl }),
    prepare: prepare(),
    state,
    fails: /the API refuses .*datta/,
  },
  {
    name: 'a namespace, while no API answers',
    resource: kubernetesObject({ manifest: namespace, kubectl: sh`k3s kubectl -s https://127.0.0.1:9` }),
    fails: /API does not answer/,
  },
];
