/** Why a workload is not ready: its pods that are not, the node each is on, what it waits for, and the last event. */
import type { Explanation } from '../resource.ts';
import { Script, type ShellFunction, sh, shellFunction } from '../script.ts';

/** An object whose readiness is waited for. */
export interface Workload {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string | undefined;
  /** Labels of its pods; none for an object that has no pods. */
  readonly podLabels: Readonly<Record<string, string>>;
}

/** How many pods are named: those of a workload usually wait for the same reason. */
const PODS_NAMED = 3;

const POD_FIELDS = [
  '{.metadata.name}',
  '{.spec.nodeName}',
  '{.status.phase}',
  '{.status.conditions[?(@.type=="Ready")].status}',
  '{.status.initContainerStatuses[*].state.waiting.reason}',
  '{.status.initContainerStatuses[*].state.waiting.message}',
  '{.status.containerStatuses[*].state.waiting.reason}',
  '{.status.containerStatuses[*].state.waiting.message}',
];
const PODS = `{range .items[*]}${POD_FIELDS.join('{"\\t"}')}{"\\n"}{end}`;
const EVENTS = '{range .items[*]}{.reason}: {.message}{"\\n"}{end}';

/**
 * `hw_last_event NAMESPACE NAME`: prints the last event of an object. One that only repeats a pod's state says nothing
 * new.
 */
const hwLastEvent: ShellFunction = shellFunction(
  'hw_last_event',
  `
hw_events=$(hw_kubectl -n "\${1:-default}" get events --request-timeout=10s --field-selector "involvedObject.name=$2" --sort-by=.metadata.creationTimestamp -o 'jsonpath=${EVENTS}' 2>/dev/null | grep . | cut -c1-400)
hw_event=$(printf '%s\\n' "$hw_events" | grep -v ': Error: [A-Za-z]*$' | tail -n 1)
hw_event=\${hw_event:-$(printf '%s\\n' "$hw_events" | tail -n 1)}
printf '%s' "\${hw_event:+; last event: $hw_event}"`,
);

/**
 * `hw_workload KIND NAME NAMESPACE SELECTOR`: a line per pod that is not ready, \`POD on NODE: STATE; last event:
 * ...\`; where no pod is there, or the object has none, its own last event. Nothing when all is well or no API answers.
 * Calls `hw_kubectl`.
 */
const hwWorkload: ShellFunction = shellFunction(
  'hw_workload',
  `
hw_pods=
if [ -n "$4" ]; then
  hw_pods=$(hw_kubectl -n "\${3:-default}" get pods --request-timeout=10s -l "$4" -o 'jsonpath=${PODS}' 2>/dev/null) || return 0
fi
if [ -z "$hw_pods" ]; then
  hw_event=$(hw_last_event "$3" "$2")
  if [ -n "$4" ]; then printf '%s/%s has no pods%s\\n' "$1" "$2" "$hw_event"
  elif [ -n "$hw_event" ]; then printf '%s/%s%s\\n' "$1" "$2" "$hw_event"; fi
  return 0
fi
hw_named=0
printf '%s\\n' "$hw_pods" | while IFS= read -r hw_line; do
  hw_field() { printf '%s\\n' "$hw_line" | cut -f"$1"; }
  [ "$(hw_field 4)" != True ] && [ "$(hw_field 3)" != Succeeded ] || continue
  [ $hw_named -lt ${PODS_NAMED} ] || { echo 'and more pods'; break; }
  hw_named=$((hw_named + 1))
  hw_node=$(hw_field 2) hw_state=$(hw_field 5) hw_message=$(hw_field 6 | cut -c1-200)
  [ -n "$hw_state" ] || { hw_state=$(hw_field 7) hw_message=$(hw_field 8 | cut -c1-200); }
  printf '%s on %s: %s%s%s\\n' "$(hw_field 1)" "\${hw_node:-no node}" "\${hw_state:-$(hw_field 3), not ready}" "\${hw_message:+ ($hw_message)}" "$(hw_last_event "$3" "$(hw_field 1)")"
done`,
  [hwLastEvent],
);

/** Prints why workloads are not ready, a line per pod. Reads only; takes a few calls of kubectl. */
export function workloadStatus(kubectl: Script, workloads: readonly Workload[]): Script {
  const each = workloads.map(({ kind, name, namespace = '', podLabels }) => {
    const selector = Object.entries(podLabels).map(([key, value]) => `${key}=${value}`);
    return sh`${hwWorkload} ${kind} ${name} ${namespace} ${selector.join(',')}`;
  });
  return Script.join([sh`hw_kubectl() { LC_ALL=C ${kubectl} "$@"; }`, ...each]);
}

/** Marks the lines of {@link workloadStatus} on a change's stderr. */
const MARK = 'heartwood: not ready: ';

/** The same on stderr, each line marked, for {@link explainNotReady}. */
export function reportNotReady(kubectl: Script, workloads: readonly Workload[]): Script {
  return sh`{ ${workloadStatus(kubectl, workloads)}
} | while IFS= read -r hw_line; do printf '%s%s\n' ${MARK} "$hw_line" >&2; done`;
}

/** States of a container or pod, and what to do about each. */
const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [
    /ErrImageNeverPull|ImagePullBackOff|ErrImagePull|InvalidImageName/,
    'the node has no such image: correct its name, make the registry reachable from the node, or import the image there',
  ],
  [/CrashLoopBackOff|BackOff: Back-off restarting/, 'its log says why it ends: kubectl logs --previous POD'],
  [/CreateContainerConfigError/, 'a Secret or ConfigMap that it names is missing'],
  [/FailedScheduling|on no node/, 'no node takes the pod: the event says which condition fails on how many nodes'],
  [/FailedMount|FailedAttachVolume/, 'its volume cannot be mounted: look at the storage, and at its claim'],
];

/** What the lines of {@link reportNotReady} mean; undefined where there are none. */
export function explainNotReady(what: string, stderr: string): Explanation | undefined {
  const lines = stderr.split('\n').flatMap((line) => (line.startsWith(MARK) ? [line.slice(MARK.length)] : []));
  if (lines.length === 0) return undefined;
  return { what: `${what}: ${lines.join('; ')}`, hint: remedyFor(lines.join('\n')) };
}

/** What to do about pods in these states; undefined where nothing is known of them. */
export function remedyFor(status: string): string | undefined {
  return REMEDIES.find(([state]) => state.test(status))?.[1];
}
