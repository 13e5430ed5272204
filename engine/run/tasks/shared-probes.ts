/**
 * Looking once at what many probes would look at one by one: two programs started for all paths of a batch instead of two for
 * each, one for all packages. The probes find the answer in shell variables; what is not there they look at themselves. Pure.
 */
import type { Step } from '../../remote/session.ts';
import { PROBE_TIMEOUT, type SharedProbe } from '../../resource.ts';
import { Script, sh } from '../../script.ts';

/** A step, and what of it can be looked at together with others'. */
export interface ProbeStep extends Step {
  readonly sharedProbe?: SharedProbe | undefined;
  /** It is known to change something: what is looked at for the steps behind it is looked at behind it. */
  readonly willChange?: boolean | undefined;
}

const PREFIX = 'look.';

/**
 * Steps with what can be asked for several of them at once before the first of these; anew behind each step that will change
 * something. One that does so unforeseen leaves the probes behind it to themselves (see {@link Step.mayChange}).
 */
export function withSharedProbes(steps: readonly ProbeStep[]): readonly Step[] {
  const parts: ProbeStep[][] = [[]];
  for (const step of steps) {
    parts.at(-1)?.push(step);
    if (step.willChange) parts.push([]);
  }
  return parts.flatMap((part, i) => {
    const first = part.findIndex(({ sharedProbe }) => sharedProbe !== undefined);
    return first < 0 ? part : [...part.slice(0, first), ...sharedProbesOf(part, i), ...part.slice(first)];
  });
}

function sharedProbesOf(steps: readonly ProbeStep[], part: number): readonly Step[] {
  const looks = new Map(
    steps.flatMap(({ sharedProbe }) => (sharedProbe ? [[sharedProbe.fn.functionName, sharedProbe.fn]] : [])),
  );
  return [...looks.values()].flatMap((fn): readonly Step[] => {
    const all = steps.flatMap(({ sharedProbe }) => (sharedProbe?.fn === fn ? [sharedProbe.args] : []));
    if (all.length < 2) return [];
    const different = new Map(all.map((words) => [words.join('\0'), words]));
    const id = `${PREFIX}${fn.functionName}.${part}`;
    const succeeded = `[ "$hw_rc_${id.replaceAll('.', '_')}" = 0 ]`;
    return [
      {
        id,
        script: sh`${fn} ${[...different.values()].flat()}`,
        timeout: PROBE_TIMEOUT,
        capture: 'unseen',
        // In the session's own shell, for all probes to see.
        stopIf: Script.raw(`${succeeded} && eval "$hw_out" && hw_probed="$hw_probed ${fn.functionName}"; false`),
      },
    ];
  });
}

/** Is a step one of those that {@link withSharedProbes} added? */
export function isSharedProbe({ id }: Pick<Step, 'id'>): boolean {
  return id.startsWith(PREFIX);
}
