/** What is tried: by the contract on hosts (contract.ts), and by `npm run try-resource` on this machine. */
import type { Resource } from '../../engine/resource.ts';
import { type Script, sh } from '../../engine/script.ts';
import type { Secret } from '../../engine/secret.ts';

/** Where examples make their files. Empty at the start of every try. */
export const WORK = '/srv/contract';

/** A resource to try, and where to start from. */
export interface Example {
  /** Ends the sentence "KIND: ...". */
  readonly name: string;
  readonly resource: Resource;
  /** Brings about what the example starts from. Runs before every try; {@link WORK} is empty then. */
  readonly prepare?: Script;
  /** True: it holds from the start, and nothing is to be done. */
  readonly holds?: boolean;
  /**
   * Prints the thing itself: at every cut it must print what it printed before the change, or what it printed after.
   */
  readonly whole?: Script;
  /** Prints what else the resource changes. Compared before and after; what it prints at a cut does not matter. */
  readonly state?: Script;
  /** Where a change is one long command: milliseconds after which it is killed too. */
  readonly killAfter?: readonly number[];
  /** Values that must show nowhere. */
  readonly secrets?: readonly Secret[];
  /** The change fails, is explained like this, and leaves things as they were. */
  readonly fails?: RegExp;
}

/** Where a table of examples works, as its author does not know it. */
export interface Place {
  /** An empty folder. */
  readonly folder: string;
  /** Whom new files are to belong to. On hosts of the lab it is left out: root. */
  readonly owner?: string;
  readonly group?: string;
}

/** The state of a path, for {@link Example.whole}, in other words than the resources' own. */
export function contentOf(path: string): Script {
  return sh`stat -c '%F %a %U %G' ${path} 2>&1; [ ! -f ${path} ] || sha256sum ${path}; [ ! -L ${path} ] || readlink ${path}`;
}
