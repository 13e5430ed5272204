/** `--profile`: where a run's time went, from its events. */

import { padEnd, widthOf } from '../columns.ts';
import type { Phase, RunEvent } from '../events.ts';
import { addCosts, type Cost, FREE } from '../traffic.ts';

/** How many of the slowest tasks are named. */
const SLOWEST = 10;

/** Handlers run at the end of their stage's change, and are part of its time. */
const HANDLERS = 'of it, handlers';

type PhaseName = Phase | typeof HANDLERS;

/** All of them, in the order in which a host goes through them. */
const PHASES = Object.keys({
  connect: true,
  authenticate: true,
  become: true,
  checks: true,
  facts: true,
  check: true,
  diff: true,
  wait: true,
  change: true,
  [HANDLERS]: true,
  confirm: true,
  'peer-upload': true,
  close: true,
} satisfies Record<PhaseName, true>) as PhaseName[];

type Finished = Extract<RunEvent, { type: 'task-finished' }>;

/** Start-up; the phases of each host with their time, round trips and bytes; the slowest tasks. */
export function profileText(events: readonly RunEvent[]): string {
  // In the order of the inventory.
  const hosts = new Map<string, Map<PhaseName, Cost>>();
  const add = (host: string, phase: PhaseName, cost: Cost): void => {
    const phases = hosts.get(host) ?? new Map<PhaseName, Cost>();
    hosts.set(host, phases);
    phases.set(phase, addCosts(phases.get(phase) ?? FREE, cost));
  };
  let before = '';
  const finished: Finished[] = [];
  for (const event of events) {
    switch (event.type) {
      case 'run-started':
        for (const host of event.hosts) hosts.set(host, new Map());
        before = `start ${event.startUp.start} ms, inventory ${event.startUp.inventory} ms`;
        break;
      case 'phase-finished':
        add(event.host, event.phase, event.cost);
        break;
      case 'task-finished':
        if (event.ms > 0) finished.push(event);
        if (event.ms > 0 && event.task.handler) add(event.host, HANDLERS, { ...FREE, ms: event.ms });
        break;
      case 'host-connected':
      case 'host-unreachable':
      case 'host-failed':
      case 'checks-started':
      case 'verdict':
      case 'play-started':
      case 'batch-started':
      case 'stage-started':
      case 'task-started':
      case 'task-output':
      case 'health-check-failed':
      case 'script':
      case 'warning':
      case 'interrupted':
      case 'run-finished':
        break;
      default:
        event satisfies never;
    }
  }
  const rows = [...hosts].flatMap(([host, phases]) =>
    PHASES.flatMap((phase) => {
      const cost = phases.get(phase);
      if (!cost) return [];
      const traffic = phase === HANDLERS ? [] : [cost.roundTrips, cost.bytesOut, cost.bytesIn].map(String);
      return [[host, phase, `${cost.ms} ms`, ...traffic]];
    }),
  );
  const slowest = finished
    .sort((a, b) => b.ms - a.ms)
    .slice(0, SLOWEST)
    .map(({ ms, host, task, status }) => [`${ms} ms`, host, `${task.role}: ${task.name}`, status]);
  return [
    '',
    `PROFILE (${before})`,
    ...table([['host', 'phase', 'time', 'round trips', 'bytes out', 'bytes in'], ...rows]),
    ...(slowest.length > 0 ? ['', 'slowest tasks', ...table(slowest)] : []),
  ].join('\n');
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => widthOf(row[i] ?? ''))));
  return rows.map((row) => `  ${row.map((cell, i) => padEnd(cell, widths[i] ?? 0)).join('  ')}`.trimEnd());
}
