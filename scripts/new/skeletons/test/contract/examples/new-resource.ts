/** Examples of new-resource. */
import { sh } from '../../../../../../engine/script.ts';
import { contentOf, type Example, type Place } from '../../../../../../test/contract/example.ts';
import { newResource } from '../../../engine/resources/new-resource.ts';

/** An example for each way to find things: to be changed, as wanted, and in the way. */
export default function newResourceExamples({ folder }: Place): readonly Example[] {
  const path = `${folder}/thing`;
  const resource = newResource({ path });
  const whole = contentOf(path);
  return [
    { name: 'one that is not there', resource, whole },
    { name: 'one that is there', resource, prepare: sh`echo old > ${path}`, holds: true, whole },
  ];
}
