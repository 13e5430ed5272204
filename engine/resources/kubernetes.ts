/** Kubernetes objects, applied on a host through its own kubectl. */

import type { ChangeFailure, Explanation, Resource } from '../resource.ts';
import { Script, type ShellFunction, sh, shellFunction } from '../script.ts';
import { MASK, mask, Secret, SecretText } from '../secret.ts';
import { hwKv } from '../state.ts';
import {
  isMapping,
  type OptionsOf,
  optionsType,
  required,
  SCRIPT,
  SECONDS,
  TEXT,
  type ValueType,
  validateOptions,
  valueType,
} from '../validate-options.ts';
import { explainNotReady, reportNotReady, type Workload } from './workload-status.ts';

/** The field manager of server-side apply: the API server records these fields as its. */
const FIELD_MANAGER = 'heartwood';

/** A manifest as JavaScript data. A {@link Secret} may stand for any string in it. */
export interface KubernetesManifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [key: string]: unknown };
  readonly [key: string]: unknown;
}

const isManifest = (value: unknown): boolean =>
  isMapping(value) && 'apiVersion' in value && 'kind' in value && 'metadata' in value;
const MANIFESTS: ValueType<KubernetesManifest | readonly KubernetesManifest[]> = valueType(
  'a manifest with apiVersion, kind and metadata, or a list of them',
  (value) => [value].flat().every(isManifest),
);

const KUBECTL = {
  /** How kubectl is called on the host: `` sh`k3s kubectl` ``. */
  kubectl: required(SCRIPT),
};

const READINESS = {
  /**
   * `rolled out`: every Deployment, DaemonSet and StatefulSet of the manifest. Anything else is an argument of `kubectl
   * wait --for` for every object: `condition=Established`, `jsonpath={.status.phase}=Bound`.
   */
  condition: required(TEXT),
  /** Seconds. */
  deadline: required(SECONDS),
};

const OPTIONS = {
  /** One object or several, applied in this order. */
  manifest: required(MANIFESTS),
  ...KUBECTL,
  /** A condition that the objects must meet after the change. */
  waitFor: optionsType(READINESS),
};

/** What {@link kubernetesObject} takes. */
export type KubernetesObjectOptions = OptionsOf<typeof OPTIONS>;

/** The kinds that `kubectl rollout status` knows. */
const WORKLOADS: ReadonlySet<string> = new Set(['Deployment', 'DaemonSet', 'StatefulSet']);

/** `hw_k8s_state RC TEXT`: the exit code and output of `kubectl diff`, as state. */
const hwK8sState: ShellFunction = shellFunction(
  'hw_k8s_state',
  `
case $1 in
  0) echo api=yes; echo applied=yes ;;
  1) echo api=yes; echo applied=no ;;
  *)
    case $2 in
      *'no matches for kind'*|*'ould not find the requested resource'*|*'(NotFound)'*) echo api=yes ;;
      *) echo api=no ;;
    esac
    echo applied=no; hw_kv why "\${2##*
}" ;;
esac`,
  [hwKv],
);

/**
 * `hw_rolled_out TEXT`: succeeds when `kubectl rollout status` says so in TEXT. Without `--watch` its exit code is 0
 * either way.
 */
const hwRolledOut: ShellFunction = shellFunction(
  'hw_rolled_out',
  'case $1 in *"successfully rolled out"*|*"roll out complete"*|*"rolling update complete"*) ;; *) return 1 ;; esac',
);

/** A condition: are the objects ready within so many seconds? 0: now. */
function ready(kubectl: Script, objects: readonly KubernetesManifest[], condition: string, seconds: number): Script {
  const workloads = objects.filter(({ kind }) => WORKLOADS.has(kind));
  const checks =
    condition !== 'rolled out'
      ? objects.map((object) => sh`${kubectl} wait --for ${condition} --timeout=${seconds}s ${target(object)}`)
      : seconds > 0
        ? workloads.map((object) => sh`${kubectl} rollout status --timeout=${seconds}s ${target(object)}`)
        : workloads.map((object) => sh`${hwRolledOut} "$(${kubectl} rollout status --watch=false ${target(object)})"`);
  return Script.join([sh`:`, ...checks], ' && ');
}

/**
 * Objects as the manifests say, by server-side apply. Fields that are not in the manifests belong to others and stay. A
 * field that another manager owns is taken over. While no API answers, the probe says `api=no`, and check mode that the
 * change would be made.
 */
export function kubernetesObject(options: KubernetesObjectOptions): Resource {
  validateOptions('kubernetesObject', options, OPTIONS);
  const { manifest, kubectl, waitFor } = options;
  const objects = [manifest].flat();
  const text = serialise({ apiVersion: 'v1', kind: 'List', items: objects });
  const apply = [`--server-side`, `--field-manager=${FIELD_MANAGER}`, '--force-conflicts'];
  const diff = sh`printf %s ${text} | LC_ALL=C ${kubectl} diff ${apply} -f -`;
  const id = objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`).join(' ');
  return {
    kind: 'kubernetes',
    id,
    probe: sh`
hw_text=$(${diff} 2>&1 >/dev/null); ${hwK8sState} $? "$hw_text"
${waitFor ? sh`if { ${ready(kubectl, objects, waitFor.condition, 0)}\n} >/dev/null 2>&1; then echo ready=yes; else echo ready=no; fi` : sh``}`,
    wanted: { applied: 'yes', ...(waitFor ? { ready: 'yes' } : {}) },
    change: () => sh`
printf %s ${text} | LC_ALL=C ${kubectl} apply ${apply} -f - || exit
${waitFor ? sh`{ ${ready(kubectl, objects, waitFor.condition, waitFor.deadline)}\n} || { hw_rc=$?; ${reportNotReady(kubectl, objects.map(workloadOf))}\nexit $hw_rc; }` : sh``}`,
    noUndo: 'the old objects are not kept',
    timeout: (waitFor?.deadline ?? 0) + 120,
    detail: {
      script: sh`${diff} 2>/dev/null; :`,
      render: (output) => withoutTemporaryPaths(mask(output)),
    },
    explain: (failure) => explainKubernetes(id, failure),
  };
}

const ABSENT_OPTIONS = {
  /** With its group where it is not unique: `daemonset`, `addons.k3s.cattle.io`. */
  kind: required(TEXT),
  name: required(TEXT),
  namespace: TEXT,
  ...KUBECTL,
};

/** What {@link kubernetesAbsent} takes. */
export type KubernetesAbsentOptions = OptionsOf<typeof ABSENT_OPTIONS>;

/** No such object. Waits until it is gone, finalizers included. */
export function kubernetesAbsent(options: KubernetesAbsentOptions): Resource {
  validateOptions('kubernetesAbsent', options, ABSENT_OPTIONS);
  const { kind, name, namespace, kubectl } = options;
  const which = [...(namespace === undefined ? [] : ['-n', namespace]), kind, name];
  return {
    kind: 'kubernetes',
    id: `no ${kind}/${name}`,
    probe: sh`
if hw_text=$(LC_ALL=C ${kubectl} get --ignore-not-found -o name ${which} 2>&1); then
  echo api=yes
  if [ -z "$hw_text" ]; then echo object=absent; else echo object=present; fi
else
  case $hw_text in
    *"doesn't have a resource type"*) echo api=yes; echo object=absent ;;
    *) echo api=no; echo object=unknown; ${hwKv} why "\${hw_text##*
}" ;;
  esac
fi`,
    wanted: { object: 'absent' },
    change: () => sh`LC_ALL=C ${kubectl} delete --ignore-not-found --timeout=120s ${which}`,
    noUndo: 'the object is not kept',
    timeout: 180,
    explain: (failure) => explainKubernetes(`${kind}/${name}`, failure),
  };
}

/** An object as one whose readiness is waited for. */
function workloadOf({ kind, metadata, ['spec']: spec }: KubernetesManifest): Workload {
  const { name, namespace } = metadata;
  const labels = kind === 'Job' ? { 'job-name': name } : labelsIn(spec);
  return { kind, name, namespace, podLabels: labels };
}

function labelsIn(spec: unknown): Readonly<Record<string, string>> {
  const { selector } = (spec ?? {}) as {
    readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  };
  return selector?.matchLabels ?? {};
}

function target({ kind, apiVersion, metadata }: KubernetesManifest): readonly string[] {
  const [group] = apiVersion.includes('/') ? apiVersion.split('/') : [];
  const namespace = metadata.namespace === undefined ? [] : ['-n', metadata.namespace];
  return [...namespace, `${kind.toLowerCase()}${group ? `.${group}` : ''}/${metadata.name}`];
}

/** JSON in which secrets stay {@link Secret}s. */
function serialise(value: unknown): SecretText {
  const parts: (string | Secret)[] = [];
  const walk = (node: unknown): void => {
    if (node instanceof Secret) parts.push(new Secret(JSON.stringify(node.reveal())));
    else if (node instanceof SecretText) parts.push(new Secret(JSON.stringify(node.reveal())));
    else if (Array.isArray(node)) list('[', node, ']', walk);
    else if (typeof node === 'object' && node !== null) {
      const entries = Object.entries(node).filter(([, entry]) => entry !== undefined);
      list('{', entries, '}', ([key, entry]) => {
        parts.push(`${JSON.stringify(key)}:`);
        walk(entry);
      });
    } else parts.push(JSON.stringify(node));
  };
  const list = <T>(open: string, nodes: readonly T[], close: string, each: (node: T) => void): void => {
    parts.push(open);
    nodes.forEach((node, i) => {
      if (i > 0) parts.push(',');
      each(node);
    });
    parts.push(close);
  };
  walk(value);
  return new SecretText(parts);
}

/** `kubectl diff` prints the paths of its temporary files. Only the object's name in them is of use. */
function withoutTemporaryPaths(diff: string): string {
  return diff
    .replaceAll(/^diff -u.*\n/gm, '')
    .replaceAll(/^(---|\+\+\+) \S*\/(?:LIVE|MERGED)-\d+\/(\S+).*$/gm, '$1 $2')
    .replaceAll(/^([-+ ]\s+(?:data|stringData):\s).*$/gm, `$1${MASK}`);
}

/** What kubectl's messages mean. */
function explainKubernetes(id: string, { exitCode, stderr, stdout }: ChangeFailure): Explanation | undefined {
  const text = `${stderr}\n${stdout}`;
  const notReady = explainNotReady(`${id} was applied, but is not ready in time`, stderr);
  if (notReady) return notReady;
  if (exitCode === 127)
    return {
      what: 'there is no kubectl on this host',
      hint: 'put the task that installs Kubernetes before this one',
    };
  if (
    /connection refused|was refused|connect: no route|i\/o timeout|ServiceUnavailable|apiserver not ready|TLS handshake timeout/i.test(
      text,
    )
  ) {
    return { what: 'the Kubernetes API does not answer', hint: 'put a waitFor before this task' };
  }
  const [, kind] = /no matches for kind "([^"]+)"/.exec(text) ?? [];
  if (kind)
    return {
      what: `the cluster does not know the kind ${kind}`,
      hint: 'apply its CustomResourceDefinition first, and wait for condition=Established',
    };
  const [, namespace] = /namespaces "([^"]+)" not found/.exec(text) ?? [];
  if (namespace) return { what: `the namespace ${namespace} is not there`, hint: 'apply it before this task' };
  const [, invalid] = /((?:The \S+ )?"[^"]*" is invalid: [^\n]*)/.exec(text) ?? [];
  if (invalid) return { what: `the API refuses ${invalid}` };
  const [, strict] = /error: (?:.*)((?:strict decoding error|unknown field)[^\n]*)/.exec(text) ?? [];
  if (strict) return { what: `the API refuses ${id}: ${strict}` };
  if (/timed out waiting/.test(text))
    return {
      what: `${id} was applied, but is not ready in time`,
      hint: 'give it more time (deadline of waitFor), where it only needs longer',
    };
  if (/forbidden/i.test(text))
    return { what: `kubectl's user may not do that: ${/[^\n]*forbidden[^\n]*/i.exec(text)?.[0]?.trim()}` };
  return undefined;
}
