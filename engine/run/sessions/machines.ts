/**
 * Which hosts are one machine. An inventory may name a machine twice; changes by two sessions at once would write the
 * same temporary files.
 */
import pLimit, { type LimitFunction } from 'p-limit';
import type { Position } from '../../errors.ts';
import type { EventStream } from '../../event-stream.ts';
import type { Session } from '../../remote/session.ts';

/** The machines of a run. */
export class Machines {
  readonly #events: EventStream;
  readonly #hosts = new Map<string, string>();
  readonly #mutexes = new Map<string, LimitFunction>();
  readonly #warned = new Set<string>();

  constructor(events: EventStream) {
    this.#events = events;
  }

  /**
   * A session of `host` is open. Warns where another host is the same machine.
   * @param at Where the inventory names it.
   */
  add(host: string, { machine }: Session, at?: Position): void {
    if (machine === undefined) return;
    const other = this.#hosts.get(machine);
    if (other === undefined) this.#hosts.set(machine, host);
    if (other === undefined || other === host || this.#warned.has(host)) return;
    this.#warned.add(host);
    const problem = {
      what: `${other} and ${host} are the same machine; their changes are made one after the other`,
      at,
      hint: 'name a machine once; a host can be in several groups',
    };
    this.#events.emit({ type: 'warning', problem });
  }

  /** Waits until no other session changes the machine of `session`, then does `work`. */
  async exclusively<T>({ machine }: Session, work: () => Promise<T>): Promise<T> {
    if (machine === undefined) return work();
    const mutex = this.#mutexes.get(machine) ?? pLimit(1);
    this.#mutexes.set(machine, mutex);
    return mutex(work);
  }
}
