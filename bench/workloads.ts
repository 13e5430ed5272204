/** What is measured: the workloads, what each needs beforehand, and what must be true afterwards. */
import type { Job } from './job.ts';
import { expectedState, spoilScript, stateScript, undoScript } from './state.ts';
import { filesWork, mixedWork, type WorkTask } from './work.ts';

/** One workload. */
export interface Workload {
  readonly id: WorkloadId;
  readonly title: string;
  readonly job: Job;
  /** Hosts of the lab that it uses. */
  readonly hosts: number;
  /** Names in the inventory that are not connected to. */
  readonly further?: number;
  /** Through the relay, each host so many times, also without distance. */
  readonly times?: number;
  /** Run on the host before each run, with the work done already: makes what the run has to do. Nothing without it. */
  readonly before?: string;
  /** Tasks whose outcome is looked at after each run. */
  readonly checked?: readonly WorkTask[];
  /** Connects to nothing. */
  readonly offline?: boolean;
}

/** Their names. */
export const WORKLOAD_IDS = [
  'nothing',
  'everything',
  'one',
  'files',
  'limit',
  'facts',
  'connect',
  'inventory',
] as const;

/** A workload's name. */
export type WorkloadId = (typeof WORKLOAD_IDS)[number];

/** Every workload. The tasks of all that use them are the same. */
export function workloads(): readonly Workload[] {
  const mixed = mixedWork();
  const files = filesWork();
  return [
    {
      id: 'nothing',
      title: '60 tasks, nothing to change',
      job: { kind: 'mixed', tasks: mixed },
      hosts: 1,
      checked: mixed,
    },
    {
      id: 'everything',
      title: '60 tasks, everything to change',
      job: { kind: 'mixed', tasks: mixed },
      hosts: 1,
      before: undoScript(mixed),
      checked: mixed,
    },
    {
      id: 'one',
      title: '60 tasks, one to change',
      job: { kind: 'mixed', tasks: mixed },
      hosts: 1,
      before: spoilScript,
      checked: mixed,
    },
    {
      id: 'files',
      title: '5 files of 20 MB',
      job: { kind: 'files', tasks: files },
      hosts: 1,
      before: undoScript(files),
      checked: files,
    },
    {
      id: 'limit',
      title: '60 tasks, nothing to change, one host of 20',
      job: { kind: 'mixed', tasks: mixed, limit: 'bench-1' },
      hosts: 1,
      further: 19,
      checked: mixed,
    },
    { id: 'facts', title: 'asking who a host is', job: { kind: 'facts' }, hosts: 1 },
    { id: 'connect', title: '200 connections', job: { kind: 'connect', forks: 200 }, hosts: 4, times: 50 },
    {
      id: 'inventory',
      title: 'an inventory of 20,000 hosts',
      job: { kind: 'inventory', hosts: 20_000 },
      hosts: 0,
      offline: true,
    },
  ];
}

/** How a host is looked at after a run, and what must be seen. */
export function stateCheck(tasks: readonly WorkTask[]): { readonly script: string; readonly expected: string } {
  return { script: stateScript(tasks), expected: expectedState(tasks) };
}
