/** Nothing at a path. */

import { InvalidValue } from '../errors.ts';
import type { Resource } from '../resource.ts';
import { sh } from '../script.ts';
import { type Names, validateOptions } from '../validate-options.ts';
import { absolutePath, explainPath, hwClear, hwType, leftover, temporaryBeside } from './atomic-path.ts';

/** What {@link absent} takes. */
export interface AbsentOptions {
  readonly path: string;
  /** Also a directory that is not empty, with everything in it. Not for a directory right below the root. */
  readonly recursive?: boolean;
}

const OPTIONS: Names<AbsentOptions> = { path: 'needed', recursive: true };

/**
 * Nothing at this path. A link is removed, not what it leads to. A directory that holds something is only removed with
 * `recursive`.
 */
export function absent(options: AbsentOptions): Resource {
  validateOptions('absent', options, OPTIONS);
  const path = absolutePath(options.path);
  const { recursive = false } = options;
  if (recursive && path.lastIndexOf('/') === 0) {
    throw new InvalidValue({
      what: `${path} is right below the root and is not removed as a whole`,
      expected: 'a deeper path',
    });
  }
  const next = temporaryBeside(path);
  const removeDirectory = recursive ? sh`rm -rf -- ${path}` : sh`rmdir -- ${path}`;
  return {
    kind: 'absent',
    id: path,
    probe: sh`${hwType} ${path}\n${leftover(path)}`,
    wanted: { type: 'absent', leftover: 'no' },
    change: () => sh`
${hwClear} ${next} || exit
if [ -d ${path} ] && [ ! -L ${path} ]; then ${removeDirectory}; else rm -f -- ${path}; fi`,
    undo: recursive ? { kind: 'none', why: 'a whole directory is not kept' } : { kind: 'keep', paths: [path] },
    explain: ({ stderr }) => {
      if (stderr.includes('not empty')) {
        return {
          what: `${path} is a directory and holds something`,
          hint: `look into it; absent({ path: '${path}', recursive: true }) removes it with its content`,
        };
      }
      if (/busy/.test(stderr)) return { what: `${path} is in use as a mount point`, hint: `umount ${path}` };
      return explainPath(path, stderr);
    },
  };
}
