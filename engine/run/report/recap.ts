/** What became of the tasks of a run, counted by host. */
import type { HostRecap, TaskStatus } from '../../events.ts';

type Counts = { -readonly [Name in 'ok' | 'changed' | 'failed' | 'skipped' | 'ignored']: HostRecap[Name] };

/** The counts of a run. */
export class Recap {
  readonly #counts = new Map<string, Counts>();

  /** Counts a task. As in Ansible, `ok` includes the changed, and check mode counts what it would change. */
  count(host: string, status: TaskStatus): void {
    const counts = this.#of(host);
    if (status === 'ok' || status === 'changed' || status === 'would change' || status === 'ignored') counts.ok++;
    if (status === 'changed' || status === 'would change') counts.changed++;
    if (status === 'failed' || status === 'skipped' || status === 'ignored') counts[status]++;
  }

  /** Has anything been counted for a host? */
  has(host: string): boolean {
    return this.#counts.has(host);
  }

  /** Ansible's line of a host. */
  line(host: string, isUnreachable: boolean): HostRecap {
    return { host, ...this.#of(host), unreachable: isUnreachable ? 1 : 0 };
  }

  #of(host: string): Counts {
    const counts = this.#counts.get(host) ?? { ok: 0, changed: 0, failed: 0, skipped: 0, ignored: 0 };
    this.#counts.set(host, counts);
    return counts;
  }
}
