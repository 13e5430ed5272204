/** Events as a run emits them, for tests of what is made of events. */
import type { RunEventBody, StartUp } from '../../engine/events.ts';

/** The first event of a run of node-1 and node-2. */
export function runStarted(startUp: StartUp = { start: 0, inventory: 0, compiled: false }): RunEventBody {
  return {
    type: 'run-started',
    run: 'x',
    playbook: 'Title',
    argv: [],
    mode: 'apply',
    diff: false,
    hosts: ['node-1', 'node-2'],
    version: '0',
    startUp,
  };
}
