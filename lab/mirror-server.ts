/** The process that is a lab's mirror: `mirror-server.ts ADDRESS CONFIG`. Started by services.ts, ended by `down`. */
import { createMirror, mirrorPort, readMirrorConfig } from './mirror.ts';

const [address = '127.0.0.1', file = ''] = process.argv.slice(2);
createMirror(() => readMirrorConfig(file)).listen(mirrorPort, address);
