/** The test matrix: which workloads are measured at which latencies, with which login rc files. */
import type { LoginRc } from './hosts.ts';
import { type Workload, type WorkloadId, workloads } from './workloads.ts';

/** A workload at one latency, with one login rc file. */
export interface CellSpec {
  readonly workload: Workload;
  readonly rttMs: number;
  readonly rc: LoginRc;
}

/** Every latency is combined with every rc file. */
interface Conditions {
  readonly rtts: readonly number[];
  readonly rcs: readonly LoginRc[];
}

const LOCAL: Conditions = { rtts: [0], rcs: ['light'] };
const ALL_LATENCIES: Conditions = { rtts: [0, 20, 50], rcs: ['light'] };
const ALL: Conditions = { rtts: [0, 20, 50], rcs: ['light', 'heavy'] };

/** A shell runs the rc file once, whatever it does next. So two workloads show what the heavy one costs. */
const FULL: Readonly<Record<WorkloadId, Conditions>> = {
  nothing: ALL,
  everything: ALL,
  one: ALL_LATENCIES,
  files: ALL_LATENCIES,
  limit: LOCAL,
  facts: ALL_LATENCIES,
  connect: LOCAL,
  inventory: LOCAL,
};

const QUICK: Readonly<Partial<Record<WorkloadId, Conditions>>> = {
  nothing: { rtts: [0, 50], rcs: ['light'] },
  everything: LOCAL,
  one: LOCAL,
  facts: LOCAL,
  inventory: LOCAL,
};

/**
 * The cells to measure. A workload named by `only` is measured under every condition named with it, also where the
 * matrix leaves it out.
 */
export function cellsOf(selection: {
  readonly quick: boolean;
  readonly only: readonly WorkloadId[];
  readonly rtts: readonly number[];
  readonly rcs: readonly LoginRc[];
}): readonly CellSpec[] {
  const isNamed = selection.only.length > 0;
  return workloads()
    .filter(({ id }) => !isNamed || selection.only.includes(id))
    .flatMap((workload) => {
      const conditions = (selection.quick ? QUICK : FULL)[workload.id] ?? (isNamed ? FULL[workload.id] : undefined);
      if (!conditions) return [];
      const select = <T>(named: readonly T[], usual: readonly T[]): readonly T[] => {
        if (named.length === 0) return usual;
        return isNamed && !workload.offline ? named : usual.filter((value) => named.includes(value));
      };
      const rtts = select(selection.rtts, conditions.rtts);
      return select(selection.rcs, conditions.rcs).flatMap((rc) => rtts.map((rttMs) => ({ workload, rttMs, rc })));
    });
}
