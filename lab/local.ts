/** Commands on this machine, by zx: quiet, and telling what failed. */
import { $ as zx } from 'zx';

/** Runs a command on this machine; throws what it printed when it fails. */
export const $ = zx({ quiet: true, verbose: false });

/** Says one line of progress; a caller that wants silence passes nothing. */
export type Say = (line: string) => void;
