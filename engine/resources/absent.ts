/** Nothing at a path. */

import { InvalidValue } from '../errors.ts';
import type { Resource } from '../resource.ts';
import { sh } from '../script.ts';
import { BOOLEAN, type OptionsOf, required, validateOptions } from '../validate-options.ts';
import { explainPath, hwClear, hwType, leftover, PATH, temporaryBeside } from './atomic-path.ts';

const OPTIONS = {
  /** Where nothing is to be: absolute. */
  path: required(PATH),
  /** Also a directory that is not empty, with everything in it. Not for a directory right below the root. */
  recursive: BOOLEAN,
};

/** What {@link absent} takes. */
export type AbsentOptions = OptionsOf<typeof OPTIONS>;

/**
 * Nothing at this path. A link is removed, not its target. A directory that is not empty is only removed with
 * `recursive`.
 */
export function absent(options: AbsentOptions): Resource {
  validateOptions('absent', options, OPTIONS);
  const { path, recursive = false } = options;
  if (recursive && path.lastIndexOf('/') === 0) {
    throw new InvalidValue({
      what: `${path} is right below the root, and is not removed with everything in it`,
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
    ...(recursive ? { noUndo: 'a whole directory is not kept' } : { keeps: [path] }),
    explain: ({ stderr }) => {
      if (stderr.includes('not empty')) {
        return {
          what: `the directory ${path} is not empty`,
          hint: `look into it; absent({ path: '${path}', recursive: true }) removes it with its content`,
        };
      }
      if (/busy/.test(stderr)) return { what: `${path} is in use as a mount point`, hint: `umount ${path}` };
      return explainPath(path, stderr);
    },
  };
}
