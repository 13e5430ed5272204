/**
 * Which workloads are measured where. A login rc file is run once for each shell, whatever that does then: the two workloads of
 * many tasks show what it costs. What distance does to one connection is in all that are measured there.
 */
import type { LoginRc } from './hosts.ts';
import { type Workload, type WorkloadId, workloads } from './workloads.ts';

/** A workload at a distance with a login rc file. */
export interface CellPlan {
  readonly workload: Workload;
  readonly rttMs: number;
  readonly rc: LoginRc;
}

/** At each of these distances, with each of these rc files. */
interface Places {
  readonly rtts: readonly number[];
  readonly rcs: readonly LoginRc[];
}

const HERE: Places = { rtts: [0], rcs: ['light'] };
const FAR: Places = { rtts: [0, 20, 50], rcs: ['light'] };
const EVERYWHERE: Places = { rtts: [0, 20, 50], rcs: ['light', 'heavy'] };

const WHOLE: Readonly<Record<WorkloadId, Places>> = {
  nothing: EVERYWHERE,
  everything: EVERYWHERE,
  one: FAR,
  files: FAR,
  limit: HERE,
  facts: FAR,
  connect: HERE,
  inventory: HERE,
};

const QUICK: Readonly<Partial<Record<WorkloadId, Places>>> = {
  nothing: { rtts: [0, 50], rcs: ['light'] },
  everything: HERE,
  one: HERE,
  facts: HERE,
  inventory: HERE,
};

/**
 * The cells to measure. A workload that is named is measured also where a quick bench leaves it out, and in every place that is
 * named with it.
 */
export function cellsOf(asked: {
  readonly quick: boolean;
  readonly only: readonly WorkloadId[];
  readonly rtts: readonly number[];
  readonly rcs: readonly LoginRc[];
}): readonly CellPlan[] {
  return workloads()
    .filter(({ id }) => asked.only.length === 0 || asked.only.includes(id))
    .flatMap((workload) => {
      const isNamed = asked.only.length > 0;
      const planned = (asked.quick ? QUICK : WHOLE)[workload.id] ?? (isNamed ? WHOLE[workload.id] : undefined);
      if (!planned) return [];
      const of = <T>(named: readonly T[], some: readonly T[]): readonly T[] => {
        if (named.length === 0) return some;
        return isNamed && !workload.offline ? named : some.filter((one) => named.includes(one));
      };
      const rtts = of(asked.rtts, planned.rtts);
      return of(asked.rcs, planned.rcs).flatMap((rc) => rtts.map((rttMs) => ({ workload, rttMs, rc })));
    });
}
