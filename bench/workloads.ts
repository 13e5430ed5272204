/** The workloads: what each needs before a run, and what must be true after it. */
import type { Job } from './job.ts';
import { driftScript, expectedState, stateScript, undoScript } from './state.ts';
import { type BenchTask, largeFileTasks, mixedTasks } from './tasks.ts';

/** One workload. */
export interface Workload {
  readonly id: WorkloadId;
  readonly title: string;
  readonly job: Job;
  /** How many hosts of the lab it uses. */
  readonly hosts: number;
  /** Further names in the inventory, which nothing connects to. */
  readonly extraHosts?: number;
  /** Names of each host. More than one go through the relay, also without latency. */
  readonly namesPerHost?: number;
  /** A script that runs on the host before each run, when all tasks are done: it undoes what the run has to do. */
  readonly before?: string;
  /** Tasks whose outcome is verified after each run. */
  readonly checked?: readonly BenchTask[];
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

/** Every workload. */
export function workloads(): readonly Workload[] {
  const mixed = mixedTasks();
  const files = largeFileTasks();
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
      before: driftScript,
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
      extraHosts: 19,
      checked: mixed,
    },
    { id: 'facts', title: 'asking who a host is', job: { kind: 'facts' }, hosts: 1 },
    { id: 'connect', title: '200 connections', job: { kind: 'connect', forks: 200 }, hosts: 4, namesPerHost: 50 },
    {
      id: 'inventory',
      title: 'an inventory of 20,000 hosts',
      job: { kind: 'inventory', hosts: 20_000 },
      hosts: 0,
      offline: true,
    },
  ];
}

/** A script that prints a host's state after a run, and what it must print. */
export function stateCheck(tasks: readonly BenchTask[]): { readonly script: string; readonly expected: string } {
  return { script: stateScript(tasks), expected: expectedState(tasks) };
}
