/** Variables of the role k3s-server. */
import type { VarsSchema } from '../../engine/index.ts';
import { k3sServerVars, k3sVars } from '../k3s/vars.ts';

/** All of them. */
export const vars = { properties: { ...k3sVars, ...k3sServerVars } } as const satisfies VarsSchema;
