/**
 * What a run is given. Everything comes in from outside, so that a test can run a playbook with a transport of its own.
 */
import type { EventStream } from '../../event-stream.ts';
import type { StartUp } from '../../events.ts';
import type { Inventory, InventoryHost } from '../../inventory/inventory.ts';
import type { Playbook } from '../../play.ts';
import type { Connection, LockRequest, OpenSession } from '../../remote/session.ts';
import type { ResolveVars } from '../../vars/resolve.ts';
import type { TagSelection } from './tags.ts';

/** What a run is given. */
export interface RunOptions {
  readonly playbook: Playbook;
  readonly inventory: Inventory;
  /** `--limit`: a pattern; hosts outside it are at most read. */
  readonly limit: string | undefined;
  readonly tags: TagSelection;
  /** `--check`: look, and change nothing. */
  readonly check: boolean;
  /** `--diff`: show what differs. */
  readonly diff: boolean;
  /** `--forks`: at most so many hosts at once. */
  readonly forks: number;
  /** Ask ahead what the whole run is going to ask; false with `--no-prefetch`. */
  readonly prefetch: boolean;
  /** `--show-scripts`: every script is an event before it is sent. */
  readonly showScripts: boolean;
  readonly resolveVars: ResolveVars;
  readonly connect: (host: InventoryHost, become: boolean) => Connection;
  readonly open: OpenSession;
  readonly events: EventStream;
  /** Which run this is, written into each host's lock. */
  readonly lock: LockRequest;
  /** The command line, for the journal. */
  readonly argv: readonly string[];
  /** Heartwood's version, for the journal. */
  readonly version: string;
  /** What it took to get here, for the journal. */
  readonly startUp: StartUp;
  /** Asked between steps: has the user asked to stop? */
  readonly interruption: Interruption;
}

/** Ctrl-C, as the run sees it. */
export interface Interruption {
  readonly requested: 'after this step' | 'now' | undefined;
  /** Called once for each request. */
  onRequest(listener: (how: 'after this step' | 'now') => void): void;
}
