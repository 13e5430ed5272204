/** What a tool is asked to do in one run, and the command that a renderer makes of it. */
import type { Access } from './access.ts';
import type { WorkTask } from './work.ts';

/** One thing to do. */
export type Job =
  /** The tasks of `work.ts`, on the hosts of `limit`, or all. */
  | { readonly kind: 'mixed' | 'files'; readonly tasks: readonly WorkTask[]; readonly limit?: string }
  /** Ask the host who it is: name, kernel, architecture, distribution, user. */
  | { readonly kind: 'facts' }
  /** Connect to every host at once and run `true`. */
  | { readonly kind: 'connect'; readonly forks: number }
  /** Load the inventory at this path and name its hosts. */
  | { readonly kind: 'inventory'; readonly hosts: number };

/** A command line to be measured. */
export interface Command {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Where it runs. */
  readonly cwd: string;
  /** A file it reads as its input. */
  readonly stdin?: string;
}

/**
 * Writes a job down for one tool.
 *
 * @param into A folder for what it writes.
 * @returns The command, or undefined where the tool has nothing of the kind.
 */
export type Renderer = (job: Job, access: Access, into: string) => Command | undefined;
