/**
 * What hosts answered when they were asked ahead (rehearse.ts), by host and script. It is true as long as nothing has been
 * changed anywhere, and forgotten then.
 */
import type { Step, StepResult } from '../../remote/session.ts';

/** Answers to scripts that were asked before their time. */
export class PrefetchCache {
  readonly #answers = new Map<string, Map<string, StepResult>>();

  /** Keeps the answers of a batch. Steps that were left out, or that the user stopped, have none. */
  put(host: string, become: boolean, steps: readonly Step[], results: readonly StepResult[]): void {
    const known = this.#of(host, become);
    const byId = new Map(results.map((result) => [result.id, result]));
    for (const { id, script } of steps) {
      const result = byId.get(id);
      if (result?.outcome === 'ran' || result?.outcome === 'timed out') known.set(script.reveal(), result);
    }
  }

  /** Has a script been answered? */
  has(host: string, become: boolean, { script }: Step): boolean {
    return this.#of(host, become).has(script.reveal());
  }

  /** The answers to a batch, as the host would give them now; undefined where any is not known. */
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

  /** Something changes. */
  clear(): void {
    this.#answers.clear();
  }

  #of(host: string, become: boolean): Map<string, StepResult> {
    const key = `${host} ${become}`;
    const known = this.#answers.get(key) ?? new Map<string, StepResult>();
    this.#answers.set(key, known);
    return known;
  }
}
