/** Ctrl-C: the first stops after the running step, the second at once, a third ends the process as the system does. */
import type { Interruption } from '../run/options.ts';

/** Listens to SIGINT and SIGTERM from now on. SIGTERM counts as a first Ctrl-C. */
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
  const stop = (): void => {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  };
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
