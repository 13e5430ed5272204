/** Links to jump hosts, shared by all links that go through them and closed with the last of those. */
import type { SshLink } from './ssh-link.ts';
import type { SshTarget } from './ssh-target.ts';

interface Shared {
  readonly link: Promise<SshLink>;
  users: number;
}

/** Opens the link to a jump host, through another where that is given. */
type OpenHop = (target: SshTarget, through: SshLink | undefined) => Promise<SshLink>;

/** A link through jump hosts, in use until it is released. */
export interface Lease {
  /** The link to the innermost jump host. */
  readonly link: SshLink;
  /** Ends its use. */
  readonly release: () => Promise<void>;
}

/** Jump hosts in use. */
export class JumpHosts {
  readonly #shared = new Map<string, Shared>();

  /** The link through all of `targets`, outermost first; opened where it is not open yet. */
  async lease(targets: readonly SshTarget[], open: OpenHop): Promise<Lease> {
    const taken: string[] = [];
    const release = async (): Promise<void> => {
      for (const key of taken.splice(0).reverse()) await this.#release(key);
    };
    let link: SshLink | undefined;
    try {
      for (const [i, target] of targets.entries()) {
        const key = targets
          .slice(0, i + 1)
          .map(identity)
          .join(' ');
        const through = link;
        const shared = this.#shared.get(key) ?? this.#add(key, () => openHop(target, through, open));
        shared.users++;
        taken.push(key);
        link = await shared.link;
      }
    } catch (error) {
      await release();
      throw error;
    }
    if (!link) throw new TypeError('no jump hosts');
    return { link, release };
  }

  #add(key: string, open: () => Promise<SshLink>): Shared {
    const shared: Shared = { link: open(), users: 0 };
    this.#shared.set(key, shared);
    // A link that failed or was lost is not used again.
    const drop = (): void => {
      if (this.#shared.get(key) === shared) this.#shared.delete(key);
    };
    shared.link.then((link) => link.closed.then(drop), drop);
    return shared;
  }

  async #release(key: string): Promise<void> {
    const shared = this.#shared.get(key);
    if (!shared || --shared.users > 0) return;
    this.#shared.delete(key);
    await (await shared.link.catch(() => undefined))?.close();
  }
}

/** Targets of the same identity share a link. */
function identity({ host, port, user, auth, hostKeys }: SshTarget): string {
  return JSON.stringify([host, port, user, auth.keys, auth.agent, hostKeys]);
}

/**
 * Runs a first command, which makes sshd send without delay; without it forwarded streams take 40 ms more per answer.
 */
async function openHop(target: SshTarget, through: SshLink | undefined, open: OpenHop): Promise<SshLink> {
  const link = await open(target, through);
  try {
    const channel = await link.open('true');
    channel.stdout.resume();
    channel.stderr.resume();
    await channel.ended;
  } catch {
    // A jump host may refuse commands (a bastion's user may have no shell). It is only slower then.
  }
  return link;
}
