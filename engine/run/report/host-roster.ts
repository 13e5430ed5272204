/** The hosts of a run: which are still in it, which have failed, and what the recap says of them. */
import type { Problem } from '../../errors.ts';
import type { EventStream } from '../../event-stream.ts';
import type { HostRecap } from '../../events.ts';
import type { Inventory, InventoryHost } from '../../inventory/inventory.ts';
import { Recap } from './recap.ts';

/** The hosts of a run. */
export class HostRoster {
  readonly recap = new Recap();
  readonly #hosts: readonly InventoryHost[];
  readonly #byName: ReadonlyMap<string, InventoryHost>;
  readonly #events: EventStream;
  readonly #isUnreachable: (host: string) => boolean;
  readonly #failed = new Set<string>();

  /** @param hosts The hosts of the plays, in the inventory's order. */
  constructor(
    inventory: Inventory,
    hosts: readonly InventoryHost[],
    events: EventStream,
    isUnreachable: (host: string) => boolean,
  ) {
    this.#hosts = hosts;
    this.#byName = new Map([...inventory.hosts, ...hosts].map((host) => [host.name, host]));
    this.#events = events;
    this.#isUnreachable = isUnreachable;
  }

  /** A host of the inventory or of a play (a localhost that the inventory does not name is one of its play's). */
  named(name: string): InventoryHost | undefined {
    return this.#byName.get(name);
  }

  /** Is a host still in the run: reachable, and nothing failed on it? */
  isActive({ name }: InventoryHost): boolean {
    return !this.#failed.has(name) && !this.#isUnreachable(name);
  }

  /** Takes a host out of the run. @param problem Why, unless the event of a task has said it. */
  fail({ name }: InventoryHost, problem?: Problem): void {
    if (this.#failed.has(name)) return;
    this.#failed.add(name);
    if (!problem) return;
    this.recap.count(name, 'failed');
    this.#events.emit({ type: 'host-failed', host: name, problem: { ...problem, host: name } });
  }

  /** The recap's lines: every host; a localhost that the inventory does not name only where it had anything to do. */
  lines(): readonly HostRecap[] {
    return this.#hosts
      .filter(({ name, implicit }) => !implicit || this.recap.has(name) || this.#failed.has(name))
      .map(({ name }) => this.recap.line(name, this.#isUnreachable(name)));
  }
}
