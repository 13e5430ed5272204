/** new-resource. */

import { sh } from '../../../../../../engine/script.ts';
import { contentOf, type Example, WORK } from '../../../../../../test/contract/contract.ts';
import { newResource } from '../../../engine/resources/new-resource.ts';

const path = `${WORK}/thing`;

export const newResourceExamples: readonly Example[] = [
  { name: 'one that is not there', resource: newResource({ path }), whole: contentOf(path) },
  { name: 'one that is there', resource: newResource({ path }), prepare: sh`echo old > ${path}`, holds: true },
];
