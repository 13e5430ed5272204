/** Commands on this machine, by zx: quiet, and with a message where they fail. */
import { $ as zx } from 'zx';

/** The environment of commands: a root shell's PATH may lack the system directories (`su` without `-`). */
export const localEnvironment = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin` };

/** Runs a command on this machine; throws what it printed when it fails. */
export const $ = zx({ quiet: true, verbose: false, env: localEnvironment });

/** Says one line of progress; a caller that wants silence passes nothing. */
export type Say = (line: string) => void;

/**
 * The results of all, in order. When one fails, the others are waited for before the first error is thrown: whoever
 * cleans up then finds nothing running.
 */
export async function allOf<T>(work: readonly Promise<T>[]): Promise<T[]> {
  return (await Promise.allSettled(work)).map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}
