/** What a tool does in one run, and the command line for it. */
import type { Access } from './access.ts';
import type { BenchTask } from './tasks.ts';

/** The work of one run. */
export type Job =
  /** Carry out these tasks, on all hosts or those of `limit`. */
  | { readonly kind: 'mixed' | 'files'; readonly tasks: readonly BenchTask[]; readonly limit?: string }
  /** Ask the host for its name, kernel, architecture, distribution and user. */
  | { readonly kind: 'facts' }
  /** Connect to every host at once and run `true`. */
  | { readonly kind: 'connect'; readonly forks: number }
  /** Load an inventory of so many hosts, and list them. */
  | { readonly kind: 'inventory'; readonly hosts: number };

/** A command line to be measured. */
export interface Command {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Where it runs. */
  readonly cwd: string;
  /** The file that is its stdin. */
  readonly stdin?: string;
}

/**
 * Writes a job down in one tool's own language.
 *
 * @param into The folder that it writes to.
 * @returns The command, or undefined where the tool cannot do such a job.
 */
export type Renderer = (job: Job, access: Access, into: string) => Command | undefined;
