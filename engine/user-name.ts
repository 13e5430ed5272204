/** The user who runs this process. */
import { userInfo } from 'node:os';

/** The user's name; the uid where the system has no name for it, as in a container that runs with a bare uid. */
export function userName(lookUp: () => { readonly username: string } = userInfo): string {
  try {
    return lookUp().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}
