/** Ctrl-C: the first stops after the running step, the second at once, a third ends the process as the system does. */
import type { Interruption } from '../run/options.ts';

/**
 * Listens to SIGINT and SIGTERM from now on. SIGTERM counts as a Ctrl-C, and so does a first write to an output that nobody
 * reads any more (`| head`, a terminal that was closed): what a run does should not go on unseen.
 */
export function listenForInterrupts(): Interruption & { stop(): void } {
  let requested: 'after this step' | 'now' | undefined;
  const listeners: ((how: 'after this step' | 'now') => void)[] = [];
  const onSignal = (): void => {
    if (requested === 'now') {
      stop();
      process.kill(process.pid, 'SIGINT');
      return;
    }
    requested = requested === undefined ? 'after this step' : 'now';
    for (const listener of listeners) listener(requested);
  };
  const onUnread = (): void => {
    if (requested === undefined) onSignal();
  };
  const stop = (): void => {
    process.stdout.off('error', onUnread);
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  };
  process.stdout.on('error', onUnread);
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    get requested() {
      return requested;
    },
    onRequest: (listener) => {
      listeners.push(listener);
    },
    stop,
  };
}
