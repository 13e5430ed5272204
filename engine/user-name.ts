/** Who runs this. */
import { userInfo } from 'node:os';

/** The user's name; the number where the system has no name for it, as in a container that was given a bare uid. */
export function userName(lookUp: () => { readonly username: string } = userInfo): string {
  try {
    return lookUp().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}
