/** The goals for Heartwood's speed, and whether results reach them. */

import { type Cell, median, type Results, ratio, resultOf } from './results.ts';
import type { ToolId } from './tools.ts';
import type { WorkloadId } from './workloads.ts';

/** A goal, and what was measured. */
export interface GoalResult {
  readonly goal: string;
  readonly found: string;
  readonly met: boolean;
}

interface Faster {
  readonly workload: WorkloadId;
  readonly rttMs: number;
  readonly than: ToolId;
  readonly times: number;
}

const FASTER: readonly Faster[] = [
  { workload: 'nothing', rttMs: 0, than: 'ansible', times: 25 },
  { workload: 'nothing', rttMs: 0, than: 'ansible-pipelining', times: 20 },
  { workload: 'nothing', rttMs: 0, than: 'mitogen', times: 8 },
  { workload: 'nothing', rttMs: 0, than: 'pyinfra', times: 5 },
  { workload: 'nothing', rttMs: 50, than: 'ansible', times: 75 },
  { workload: 'nothing', rttMs: 50, than: 'ansible-pipelining', times: 30 },
  { workload: 'nothing', rttMs: 50, than: 'mitogen', times: 9 },
  { workload: 'nothing', rttMs: 50, than: 'pyinfra', times: 6 },
  { workload: 'everything', rttMs: 0, than: 'ansible', times: 10 },
  { workload: 'everything', rttMs: 0, than: 'ansible-pipelining', times: 10 },
  { workload: 'everything', rttMs: 0, than: 'mitogen', times: 3 },
];

/** The memory that 200 connections may take, in bytes. */
const CONNECTIONS_MEMORY = 200e6;

/** Every goal whose workload is among the results. */
export function goalResults(results: Results): readonly GoalResult[] {
  const cellOf = (workload: WorkloadId, rttMs: number): Cell | undefined =>
    results.cells.find((cell) => cell.workload === workload && cell.rttMs === rttMs && cell.rc === 'light');
  const found: GoalResult[] = [];
  for (const { workload, rttMs, than, times } of FASTER) {
    const cell = cellOf(workload, rttMs);
    const reached = ratio(resultOf(cell, 'heartwood'), resultOf(cell, than));
    if (reached === undefined) continue;
    found.push({
      goal: `${workload}, ${rttMs} ms: at least ${times} times as fast as ${than}`,
      found: `${reached.toFixed(1)} times`,
      met: reached >= times,
    });
  }
  for (const rttMs of [0, 20, 50]) {
    const cell = cellOf('nothing', rttMs);
    const own = resultOf(cell, 'heartwood');
    const floor = resultOf(cell, 'ssh');
    if (!own || !floor) continue;
    const startUp = median(results.startUp.tsxMs);
    const most = 2 * median(floor.wallMs) + startUp;
    found.push({
      goal: `nothing, ${rttMs} ms: at most twice the hand-made script and Node's start-up with tsx`,
      found: `${(median(own.wallMs) / most).toFixed(2)} of that (start-up ${startUp.toFixed(0)} ms)`,
      met: median(own.wallMs) <= most,
    });
  }
  const everything = cellOf('everything', 0);
  const slower = ratio(resultOf(everything, 'ssh'), resultOf(everything, 'heartwood'));
  if (slower !== undefined) {
    found.push({
      goal: 'everything, 0 ms: at most 1.5 times the hand-made script',
      found: `${slower.toFixed(2)} times`,
      met: slower <= 1.5,
    });
  }
  const memory = resultOf(cellOf('connect', 0), 'heartwood')?.counts?.peakMemory;
  if (memory !== undefined) {
    found.push({
      goal: '200 connections: at most 200 MB',
      found: `${(memory / 1e6).toFixed(0)} MB`,
      met: memory <= CONNECTIONS_MEMORY,
    });
  }
  return found;
}
