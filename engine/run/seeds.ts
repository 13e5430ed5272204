/**
 * What one host has fetched and the others of the run get from it: who has what, who is fetching it, who waits for it. Sends
 * nothing itself.
 */
import type { Seed } from '../resource.ts';
import type { Script } from '../script.ts';

/** A host that has it, and how it gives it. */
export interface Giver {
  readonly host: string;
  readonly give: Script;
}

/** What a host that wants something is to do about it. */
export interface Turn {
  /** Whom to have it from; undefined: nobody has it, and this host is to fetch it while the others wait. */
  readonly from: Giver | undefined;
  /** To be called once it is known whether this host has it now. Later calls do nothing. */
  done(got: boolean): void;
}

interface Known {
  /** By host, each with the number of those that are getting it from there. */
  readonly givers: Map<string, Giver & { busy: number }>;
  fetching: string | undefined;
  waiting: (() => void)[];
}

/** The seeds of a run. */
export class Seeds {
  readonly #byKey = new Map<string, Known>();

  /** Notes that a host has it. */
  has({ key, give }: Pick<Seed, 'key' | 'give'>, host: string): void {
    const known = this.#known(key);
    if (!known.givers.has(host)) known.givers.set(host, { host, give, busy: 0 });
    wake(known);
  }

  /** Notes that a host could not give it. */
  lost({ key }: Pick<Seed, 'key'>, host: string): void {
    this.#known(key).givers.delete(host);
  }

  /**
   * Waits until somebody has it, or until it is this host that has to fetch it: nobody does, or who did could not.
   * @param waits Told whom it waits for, each time that it has to.
   */
  async turn(seed: Pick<Seed, 'key' | 'give'>, host: string, waits: (forHost: string) => void): Promise<Turn> {
    const known = this.#known(seed.key);
    for (;;) {
      // Another host's task has brought it here meanwhile (delegateTo): the change finds it.
      if (known.givers.has(host)) return turnOf(undefined, () => {});
      const [giver] = [...known.givers.values()].sort((a, b) => a.busy - b.busy);
      if (giver) {
        giver.busy++;
        return turnOf(giver, (got) => {
          giver.busy--;
          if (got) this.has(seed, host);
        });
      }
      if (known.fetching === undefined) {
        known.fetching = host;
        return turnOf(undefined, (got) => {
          known.fetching = undefined;
          if (got) this.has(seed, host);
          else wake(known);
        });
      }
      waits(known.fetching);
      await new Promise<void>((resolve) => {
        known.waiting.push(resolve);
      });
    }
  }

  #known(key: string): Known {
    const known: Known = this.#byKey.get(key) ?? { givers: new Map(), fetching: undefined, waiting: [] };
    this.#byKey.set(key, known);
    return known;
  }
}

function wake(known: Known): void {
  const waiting = known.waiting;
  known.waiting = [];
  for (const resolve of waiting) resolve();
}

function turnOf(from: Giver | undefined, end: (got: boolean) => void): Turn {
  let over = false;
  return {
    from,
    done: (got) => {
      if (!over) end(got);
      over = true;
    },
  };
}
