/** An empty file: replace this by what the resource manages. */
import type { Resource } from '../../../../../engine/resource.ts';
import { absolutePath } from '../../../../../engine/resources/atomic-path.ts';
import { sh } from '../../../../../engine/script.ts';
import { type Names, validateOptions } from '../../../../../engine/validate-options.ts';

/** What {@link newResource} takes. */
export interface NewResourceOptions {
  readonly path: string;
}

const OPTIONS: Names<NewResourceOptions> = { path: 'needed' };

/** A file at this path, made empty where there is none. What is there stays. */
export function newResource(options: NewResourceOptions): Resource {
  validateOptions('newResource', options, OPTIONS);
  const path = absolutePath(options.path);
  return {
    kind: 'new-resource',
    id: path,
    probe: sh`if [ -e ${path} ]; then echo present=yes; else echo present=no; fi`,
    wanted: { present: 'yes' },
    change: () => sh`: >> ${path}`,
    undo: { kind: 'restore' },
  };
}
