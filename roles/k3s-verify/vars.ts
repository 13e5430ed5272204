/** Variables of the role k3s-verify. */
import type { VarsSchema } from '../../engine/index.ts';
import { k3sVars } from '../k3s/vars.ts';

/** All of them. */
export const vars = {
  properties: { node_ip: k3sVars.node_ip, k3s_start_timeout: k3sVars.k3s_start_timeout },
} as const satisfies VarsSchema;
