/** Ctrl-C: the first stops after the running step, the second at once, the third ends the process. */
import type { Interruption } from '../run/plan/run-options.ts';

/**
 * Listens to SIGINT, SIGTERM and SIGHUP from now on, each of which counts as a Ctrl-C. So does a write to an output
 * that nobody reads any more (`| head`, a terminal that was closed): a run must not go on unseen.
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
  const onOutputClosed = (): void => {
    if (requested === undefined) onSignal();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const stop = (): void => {
    process.stdout.off('error', onOutputClosed);
    for (const signal of signals) process.off(signal, onSignal);
  };
  process.stdout.on('error', onOutputClosed);
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
