/** Variables of the role k3s-agent. */
import type { VarsSchema } from '../../engine/index.ts';
import { k3sVars } from '../k3s/vars.ts';

/** All of them. */
export const vars = { properties: k3sVars } as const satisfies VarsSchema;
