/** A guard around a caller's listener, which is called from inside a socket's handler. */
import type { StepListener } from './session.ts';

/**
 * A listener that never throws: an error there would end the process. `rethrow` throws the first error that was caught.
 */
export function guarded(listener: StepListener | undefined): {
  readonly safe: StepListener | undefined;
  readonly rethrow: () => void;
} {
  if (!listener) return { safe: undefined, rethrow: () => {} };
  let caught: { readonly error: unknown } | undefined;
  const guard = (call: () => void): void => {
    try {
      call();
    } catch (error) {
      caught ??= { error };
    }
  };
  return {
    safe: {
      started: (id) => guard(() => listener.started?.(id)),
      output: (id, stream, chunk) => guard(() => listener.output?.(id, stream, chunk)),
      finished: (result) => guard(() => listener.finished?.(result)),
    },
    rethrow: () => {
      if (caught) throw caught.error;
    },
  };
}
