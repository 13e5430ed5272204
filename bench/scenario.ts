/** Which workloads are measured where: not every one is worth the time at every distance. */
import type { LoginRc } from './hosts.ts';
import { type Workload, type WorkloadId, workloads } from './workloads.ts';

/** A workload at a distance with a login rc file. */
export interface CellPlan {
  readonly workload: Workload;
  readonly rttMs: number;
  readonly rc: LoginRc;
}

type Place = readonly [rttMs: number, rc: LoginRc];

const WHOLE: Readonly<Record<WorkloadId, readonly Place[]>> = {
  nothing: [
    [0, 'light'],
    [20, 'light'],
    [50, 'light'],
    [0, 'heavy'],
    [20, 'heavy'],
    [50, 'heavy'],
  ],
  everything: [
    [0, 'light'],
    [20, 'light'],
    [50, 'light'],
    [0, 'heavy'],
  ],
  one: [
    [0, 'light'],
    [50, 'light'],
  ],
  files: [
    [0, 'light'],
    [50, 'light'],
  ],
  limit: [[0, 'light']],
  facts: [
    [0, 'light'],
    [50, 'light'],
  ],
  connect: [[0, 'light']],
  inventory: [[0, 'light']],
};

const QUICK: Readonly<Record<WorkloadId, readonly Place[]>> = {
  nothing: [
    [0, 'light'],
    [50, 'light'],
  ],
  everything: [[0, 'light']],
  one: [[0, 'light']],
  files: [],
  limit: [],
  facts: [[0, 'light']],
  connect: [],
  inventory: [[0, 'light']],
};

/** The cells to measure. A workload that is named is measured also where a quick bench leaves it out. */
export function cellsOf(asked: {
  readonly quick: boolean;
  readonly only: readonly WorkloadId[];
  readonly rtts: readonly number[];
  readonly rcs: readonly LoginRc[];
}): readonly CellPlan[] {
  return workloads()
    .filter(({ id }) => asked.only.length === 0 || asked.only.includes(id))
    .flatMap((workload) => {
      const some = asked.quick ? QUICK[workload.id] : WHOLE[workload.id];
      const places = some.length === 0 && asked.only.length > 0 ? WHOLE[workload.id] : some;
      return places.map(([rttMs, rc]) => ({ workload, rttMs, rc }));
    })
    .filter(({ rttMs }) => asked.rtts.length === 0 || asked.rtts.includes(rttMs))
    .filter(({ rc }) => asked.rcs.length === 0 || asked.rcs.includes(rc));
}
