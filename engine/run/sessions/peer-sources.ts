/**
 * What one host has fetched and the others of the run get from it: who has what, who is fetching it, who waits for it. Sends
 * nothing itself.
 */
import type { Script } from '../../script.ts';

/** A host that has it, and how it gives it. */
export interface PeerHost {
  readonly host: string;
  /** Is it root's to give, or the host's own user's? */
  readonly become: boolean;
  readonly read: Script;
}

/** What a host that wants something is to do about it. */
export interface Acquired {
  /** Whom to have it from; undefined: this host is to fetch it. */
  readonly from: PeerHost | undefined;
  /** To be called once it is known whether this host has it now. Later calls do nothing. */
  release(got: boolean): void;
}

/** Hosts that one host gives to at once: each takes a channel of its connection, and sshd grants ten (MaxSessions). */
const AT_ONCE = 4;

interface Known {
  /** By host and script, each with the number of hosts that are getting it from there. */
  readonly givers: Map<string, PeerHost & { busy: number }>;
  fetching: string | undefined;
  /** Who fetched it last could not, and nobody has it: the others need not try one after the other. */
  failed: boolean;
  waiting: (() => void)[];
}

/** The seeds of a run, each by its key. */
export class PeerSources {
  readonly #byKey = new Map<string, Known>();

  /** Notes that a host has it. */
  add(key: string, giver: PeerHost): void {
    const known = this.#known(key);
    const id = idOf(giver);
    if (!known.givers.has(id)) known.givers.set(id, { ...giver, busy: 0 });
    known.failed = false;
    wake(known);
  }

  /** Notes that a host could not give it. */
  remove(key: string, giver: PeerHost): void {
    const known = this.#known(key);
    known.givers.delete(idOf(giver));
    wake(known);
  }

  /**
   * Waits until somebody has it and has time to give it, or until it is this host that has to fetch it: nobody has it, and
   * nobody is at it.
   * @param own How this host will give it, once it has it.
   * @param waits Told whom it waits for, when that changes.
   */
  async acquire(key: string, own: PeerHost, waits: (forHost: string) => void): Promise<Acquired> {
    const known = this.#known(key);
    let told: string | undefined;
    for (;;) {
      const [giver] = [...known.givers.values()].sort((a, b) => a.busy - b.busy);
      if (giver && giver.busy < AT_ONCE) {
        giver.busy++;
        return turnOf(giver, (got) => {
          giver.busy--;
          if (got) this.add(key, own);
          else wake(known);
        });
      }
      if (!giver && (known.failed || known.fetching === undefined)) {
        if (!known.failed) known.fetching = own.host;
        return turnOf(undefined, (got) => {
          if (known.fetching === own.host) known.fetching = undefined;
          if (got) return this.add(key, own);
          known.failed = known.givers.size === 0;
          wake(known);
        });
      }
      const whom = giver?.host ?? known.fetching ?? '';
      if (whom !== told) waits(whom);
      told = whom;
      await new Promise<void>((resolve) => {
        known.waiting.push(resolve);
      });
    }
  }

  #known(key: string): Known {
    const known: Known = this.#byKey.get(key) ?? { givers: new Map(), fetching: undefined, failed: false, waiting: [] };
    this.#byKey.set(key, known);
    return known;
  }
}

const idOf = ({ host, read }: PeerHost): string => `${host} ${read.shown}`;

function wake(known: Known): void {
  const waiting = known.waiting;
  known.waiting = [];
  for (const resolve of waiting) resolve();
}

function turnOf(from: PeerHost | undefined, end: (got: boolean) => void): Acquired {
  let over = false;
  return {
    from,
    release: (got) => {
      if (!over) end(got);
      over = true;
    },
  };
}
