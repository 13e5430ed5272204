/** The one place that events go through on their way to whoever listens. */
import type { Problem } from './errors.ts';
import { maskEvent } from './event-masking.ts';
import type { RunEvent, RunEventBody } from './events.ts';
import { type SecretWeakness, SHORTEST_MASKED, secretWeaknesses } from './secret.ts';

/** Listens to events. What it throws ends the run where the event is the first, and is a warning later. */
export type EventListener = (event: RunEvent) => void;

/** What is said of secrets that masking does not protect: once each. */
const WEAK: Readonly<Record<SecretWeakness | 'name', Problem>> = {
  short: {
    what: `a secret is shorter than ${SHORTEST_MASKED} characters: it is not masked in what is shown and recorded`,
    hint: 'use a longer one',
  },
  common: {
    what: 'a secret is a plain word or a short number: *** also stands where the same word means something else, which gives it away',
    hint: 'use one with letters and digits: openssl rand -hex 16',
  },
  name: {
    what: "a secret is part of a name, such as a host's or a task's: names are not masked, so it is shown there",
    hint: 'change the secret or the name',
  },
};

/** A run's events: stamped, masked, and handed to every listener in the order in which they happened. */
export class EventStream {
  readonly #listeners: EventListener[] = [];
  readonly #queue: RunEvent[] = [];
  readonly #warned = new Set<string>();
  /** Listeners whose failure was reported. */
  readonly #failed = new Set<EventListener>();
  #begun = false;
  #delivering = false;

  /** Adds a listener; events from now on reach it. */
  subscribe(listener: EventListener): void {
    this.#listeners.push(listener);
  }

  /**
   * Tells every listener of an event, its secrets masked. An event that a listener emits comes after the one it is
   * hearing.
   * @throws what a listener throws at the first event: nothing has been done by then. Later it is a warning, once a
   *   listener; a run must not end in the middle of a step because a report of it could not be written.
   */
  emit(body: RunEventBody): void {
    const warnings = new Set<SecretWeakness | 'name'>();
    this.#queue.push({ time: new Date().toISOString(), ...maskEvent(body, () => warnings.add('name')) });
    for (const weakness of secretWeaknesses()) warnings.add(weakness);
    for (const weakness of warnings) this.#warn(weakness, WEAK[weakness]);
    if (this.#delivering) return;
    this.#delivering = true;
    try {
      for (let event = this.#queue.shift(); event; event = this.#queue.shift()) this.#deliver(event);
    } finally {
      this.#delivering = false;
    }
  }

  #deliver(event: RunEvent): void {
    const first = !this.#begun;
    this.#begun = true;
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        if (first) throw error;
        if (this.#failed.has(listener)) continue;
        this.#failed.add(listener);
        const why = error instanceof Error ? error.message : String(error);
        const what = `a bug in Heartwood: the event ${event.type} could not be shown or recorded: ${why}`;
        this.emit({ type: 'warning', problem: { what } });
      }
    }
  }

  #warn(key: string, problem: Problem): void {
    if (this.#warned.has(key)) return;
    this.#warned.add(key);
    this.#queue.push({ time: new Date().toISOString(), type: 'warning', problem });
  }
}
