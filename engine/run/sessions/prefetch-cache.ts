/**
 * The prefetch cache: what hosts answered ahead of time (prefetch.ts), and which could not be reached. Both hold until
 * something is changed anywhere, and are cleared together then.
 */
import type { Problem } from '../../errors.ts';
import type { Step, StepResult } from '../../remote/session.ts';

/** Results by host, session and script. */
export class PrefetchCache {
  readonly #results = new Map<string, Map<string, StepResult>>();
  readonly #unreachable = new Map<string, Problem>();

  /** Keeps the results of steps. Steps that were skipped or interrupted have none to keep. */
  put(host: string, become: boolean, steps: readonly Step[], results: readonly StepResult[]): void {
    const known = this.#of(host, become);
    const byId = new Map(results.map((result) => [result.id, result]));
    for (const { id, script } of steps) {
      const result = byId.get(id);
      if (result?.outcome === 'ran' || result?.outcome === 'timed out') known.set(script.reveal(), result);
    }
  }

  /** Is the result of a script known? */
  has(host: string, become: boolean, { script }: Step): boolean {
    return this.#of(host, become).has(script.reveal());
  }

  /** The results of steps; undefined where any is not known. */
  get(host: string, become: boolean, steps: readonly Step[]): readonly StepResult[] | undefined {
    const known = this.#of(host, become);
    const results: StepResult[] = [];
    for (const { id, script } of steps) {
      const result = known.get(script.reveal());
      if (!result) return undefined;
      results.push({ ...result, id });
    }
    return results;
  }

  /** Keeps why a host could not be reached. */
  putUnreachable(host: string, problem: Problem): void {
    this.#unreachable.set(host, problem);
  }

  /** Why a host could not be reached, where that was tried. */
  whyUnreachable(host: string): Problem | undefined {
    return this.#unreachable.get(host);
  }

  /** Something changes: nothing that is kept need hold any more, and a host may be reachable now. */
  clear(): void {
    this.#results.clear();
    this.#unreachable.clear();
  }

  #of(host: string, become: boolean): Map<string, StepResult> {
    const key = `${host} ${become}`;
    const known = this.#results.get(key) ?? new Map<string, StepResult>();
    this.#results.set(key, known);
    return known;
  }
}
