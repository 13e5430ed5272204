/** An empty file: replace this by what the resource manages. */
import type { Resource } from '../../../../../engine/resource.ts';
import { explainPath, PATH } from '../../../../../engine/resources/atomic-path.ts';
import { sh } from '../../../../../engine/script.ts';
import { type OptionsOf, required, validateOptions } from '../../../../../engine/validate-options.ts';

const OPTIONS = {
  /** Where it is: absolute. */
  path: required(PATH),
};

/** What {@link newResource} takes. */
export type NewResourceOptions = OptionsOf<typeof OPTIONS>;

/** A file at this path, created empty where there is none. What is there stays. */
export function newResource(options: NewResourceOptions): Resource {
  validateOptions('newResource', options, OPTIONS);
  const { path } = options;
  return {
    kind: 'new-resource',
    id: path,
    probe: sh`if [ -e ${path} ]; then echo present=yes; else echo present=no; fi`,
    wanted: { present: 'yes' },
    change: () => sh`: >> ${path}`,
    undo: () => sh`rm -f -- ${path}`,
    explain: ({ stderr }) => explainPath(path, stderr),
  };
}
