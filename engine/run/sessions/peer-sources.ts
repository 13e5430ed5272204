/**
 * Peer sources: hosts of the run that have a content, for other hosts to get it from. Tracks who has it, who is
 * fetching it, and who waits for it. Sends nothing itself.
 */
import type { Script } from '../../script.ts';

/** A host that has a content. */
export interface PeerHost {
  readonly host: string;
  /** Is it read as root, or as the host's own user? */
  readonly become: boolean;
  /** Prints the content. */
  readonly read: Script;
}

/** Where a host gets a content from. */
export interface Acquired {
  /** The peer that has it. Undefined: this host is to fetch it itself. */
  readonly from: PeerHost | undefined;
  /** To be called once it is known whether this host has the content now. Later calls do nothing. */
  release(hasIt: boolean): void;
}

/** Hosts that read from one peer at once. Each takes a channel of its connection, and sshd grants ten (MaxSessions). */
const READERS_AT_ONCE = 4;

interface ContentState {
  /** By host and script, each with the number of hosts that read from it now. */
  readonly peers: Map<string, PeerHost & { readers: number }>;
  /** The host that is fetching it. */
  fetching: string | undefined;
  /** The last fetch failed, and no peer has it: the hosts that wait don't wait for one another any more. */
  hasFailed: boolean;
  waiting: (() => void)[];
}

/** The contents of a run, each by its key. */
export class PeerSources {
  readonly #byKey = new Map<string, ContentState>();

  /** A host has the content. */
  add(key: string, peer: PeerHost): void {
    const state = this.#stateOf(key);
    const id = idOf(peer);
    if (!state.peers.has(id)) state.peers.set(id, { ...peer, readers: 0 });
    state.hasFailed = false;
    wake(state);
  }

  /** A peer could not send the content. */
  remove(key: string, peer: PeerHost): void {
    const state = this.#stateOf(key);
    state.peers.delete(idOf(peer));
    wake(state);
  }

  /**
   * Waits until a peer can send the content, or until this host is to fetch it: no peer has it, and no host is fetching
   * it.
   * @param own This host as a peer, once it has the content.
   * @param onWait Called with the host that is waited for, whenever that changes.
   */
  async acquire(key: string, own: PeerHost, onWait: (forHost: string) => void): Promise<Acquired> {
    const state = this.#stateOf(key);
    let waitsFor: string | undefined;
    for (;;) {
      const [peer] = [...state.peers.values()].sort((a, b) => a.readers - b.readers);
      if (peer && peer.readers < READERS_AT_ONCE) {
        peer.readers++;
        return acquired(peer, (hasIt) => {
          peer.readers--;
          if (hasIt) this.add(key, own);
          else wake(state);
        });
      }
      if (!peer && (state.hasFailed || state.fetching === undefined)) {
        if (!state.hasFailed) state.fetching = own.host;
        return acquired(undefined, (hasIt) => {
          if (state.fetching === own.host) state.fetching = undefined;
          if (hasIt) return this.add(key, own);
          state.hasFailed = state.peers.size === 0;
          wake(state);
        });
      }
      const other = peer?.host ?? state.fetching ?? '';
      if (other !== waitsFor) onWait(other);
      waitsFor = other;
      await new Promise<void>((resolve) => {
        state.waiting.push(resolve);
      });
    }
  }

  #stateOf(key: string): ContentState {
    const state: ContentState = this.#byKey.get(key) ?? {
      peers: new Map(),
      fetching: undefined,
      hasFailed: false,
      waiting: [],
    };
    this.#byKey.set(key, state);
    return state;
  }
}

const idOf = ({ host, read }: PeerHost): string => `${host} ${read.reveal()}`;

function wake(state: ContentState): void {
  const waiting = state.waiting;
  state.waiting = [];
  for (const resolve of waiting) resolve();
}

function acquired(from: PeerHost | undefined, onRelease: (hasIt: boolean) => void): Acquired {
  let isReleased = false;
  return {
    from,
    release: (hasIt) => {
      if (!isReleased) onRelease(hasIt);
      isReleased = true;
    },
  };
}
