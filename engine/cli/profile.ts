/** `--profile`: where a run's time went, from its events. */
import type { RunEvent } from '../events.ts';
import { addCosts, type Cost, FREE } from '../traffic.ts';

/** How many of the slowest tasks are named. */
const SLOWEST = 10;

/** Part of their stage's change, whose script they end. */
const HANDLERS = 'of it, handlers';

/** In the order in which they come. */
const PHASES = [
  'connect',
  'authenticate',
  'become',
  'checks',
  'facts',
  'check',
  'diff',
  'wait',
  'change',
  HANDLERS,
  'confirm',
  'peer-upload',
  'close',
] as const;

type PhaseName = (typeof PHASES)[number];

/** What came before the run; phases of each host with time, round trips and bytes; then the slowest tasks. */
export function profileText(events: readonly RunEvent[]): string {
  // In the inventory's order.
  const hosts = new Map<string, Map<PhaseName, Cost>>();
  const add = (host: string, phase: PhaseName, cost: Cost): void => {
    const phases = hosts.get(host) ?? new Map<PhaseName, Cost>();
    hosts.set(host, phases);
    phases.set(phase, addCosts(phases.get(phase) ?? FREE, cost));
  };
  let before = '';
  for (const event of events) {
    if (event.type === 'run-started') {
      for (const host of event.hosts) hosts.set(host, new Map());
      before = `start ${event.startUp.start} ms, inventory ${event.startUp.inventory} ms`;
    }
    if (event.type === 'phase-finished') add(event.host, event.phase, event.cost);
    if (event.type === 'task-finished' && event.task.handler && event.ms > 0) {
      add(event.host, HANDLERS, { ...FREE, ms: event.ms });
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
  const slowest = events
    .filter((event) => event.type === 'task-finished')
    .filter(({ ms }) => ms > 0)
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
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd());
}
