/**
 * Shared probes: what many probes would ask one by one is asked once for all of them. All paths of a stage take two
 * programs instead of two each, all packages one. The probes find the answers in shell variables, and ask themselves
 * what is missing there. Pure.
 */
import type { Step } from '../../remote/session.ts';
import { PROBE_TIMEOUT, type SharedProbe } from '../../resource.ts';
import { Script, sh } from '../../script.ts';

/** A step, and what of it a shared probe can ask. */
export interface ProbeStep extends Step {
  readonly sharedProbe?: SharedProbe | undefined;
  /** It will change something: shared probes for later steps run after it. */
  readonly willChange?: boolean | undefined;
}

const PREFIX = 'shared.';

/**
 * Adds shared probes to steps: before the first step that can use them, and again after each step that will change
 * something. After a step that changes something unexpectedly, the probes ask themselves (see {@link Step.mayChange}).
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
  const functions = new Map(
    steps.flatMap(({ sharedProbe }) => (sharedProbe ? [[sharedProbe.fn.functionName, sharedProbe.fn]] : [])),
  );
  return [...functions.values()].flatMap((fn): readonly Step[] => {
    const all = steps.flatMap(({ sharedProbe }) => (sharedProbe?.fn === fn ? [sharedProbe.args] : []));
    if (all.length < 2) return [];
    const different = new Map(all.map((args) => [args.join('\0'), args]));
    const id = `${PREFIX}${fn.functionName}.${part}`;
    const succeeded = `[ "$hw_rc_${id.replaceAll('.', '_')}" = 0 ]`;
    return [
      {
        id,
        script: sh`${fn} ${[...different.values()].flat()}`,
        timeout: PROBE_TIMEOUT,
        capture: 'unseen',
        // A condition runs in the session's own shell, where all probes see what it sets.
        stopIf: Script.raw(`${succeeded} && eval "$hw_out" && hw_probed="$hw_probed ${fn.functionName}"; false`),
      },
    ];
  });
}

/** Is a step one of those that {@link withSharedProbes} added? */
export function isSharedProbe({ id }: Pick<Step, 'id'>): boolean {
  return id.startsWith(PREFIX);
}
