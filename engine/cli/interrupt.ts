/** Ctrl-C: the first stops after the running step, the second at once, a third ends the process as the system does. */
import type { Interruption } from '../run/plan/run-options.ts';

/**
 * Listens to SIGINT, SIGTERM and SIGHUP from now on. The latter two count as a Ctrl-C, and so does a first write to an output
 * that nobody reads any more (`| head`, a terminal that was closed): what a run does should not go on unseen.
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
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const stop = (): void => {
    process.stdout.off('error', onUnread);
    for (const signal of signals) process.off(signal, onSignal);
  };
  process.stdout.on('error', onUnread);
  for (const signal of signals) process.on(signal, onSignal);
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
