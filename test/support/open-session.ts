/** One session, for tests that need no more. */
import { sessionOpener } from '../../engine/remote/open-session.ts';
import type { OpenSession } from '../../engine/remote/session.ts';

/** Opens one. */
export const openSession: OpenSession = (connection) => sessionOpener()(connection);
