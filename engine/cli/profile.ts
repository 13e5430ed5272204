/** `--profile`: where a run's time went, from its events. */
import type { PhaseCost, RunEvent } from '../events.ts';

/** How many of the slowest tasks are named. */
const SLOWEST = 10;

/** In the order in which they come. Handlers are part of their stage's change. */
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
  'of it, handlers',
  'give',
  'close',
] as const;

type PhaseName = (typeof PHASES)[number];

/** What came before the run; phases of each host with time, round trips and bytes; then the slowest tasks. */
export function profileText(events: readonly RunEvent[]): string {
  // In the inventory's order.
  const hosts = new Map<string, Map<PhaseName, PhaseCost>>();
  const add = (host: string, phase: PhaseName, cost: Partial<PhaseCost>): void => {
    const phases = hosts.get(host) ?? new Map<PhaseName, PhaseCost>();
    hosts.set(host, phases);
    const sum = phases.get(phase);
    const total = (what: keyof PhaseCost): number => (sum?.[what] ?? 0) + (cost[what] ?? 0);
    phases.set(phase, {
      ms: total('ms'),
      roundTrips: total('roundTrips'),
      bytesOut: total('bytesOut'),
      bytesIn: total('bytesIn'),
    });
  };
  let before = '';
  for (const event of events) {
    if (event.type === 'run-started') {
      for (const host of event.hosts) hosts.set(host, new Map());
      before = `start ${event.startUp.start} ms, inventory ${event.startUp.inventory} ms`;
    }
    if (event.type === 'host-connected') {
      for (const phase of ['connect', 'authenticate', 'become'] as const) {
        add(event.host, phase, { ms: event.timing[phase] });
      }
    }
    if (event.type === 'phase-finished') add(event.host, event.phase, event.cost);
    if (event.type === 'task-finished' && event.task.handler && event.ms > 0) {
      add(event.host, 'of it, handlers', { ms: event.ms });
    }
  }
  const rows = [...hosts].flatMap(([host, phases]) =>
    PHASES.flatMap((phase) => {
      const cost = phases.get(phase);
      return cost
        ? [[host, phase, `${cost.ms} ms`, ...[cost.roundTrips, cost.bytesOut, cost.bytesIn].map(String)]]
        : [];
    }),
  );
  const slowest = events
    .filter((event) => event.type === 'task-finished')
    .filter(({ ms }) => ms > 0)
    .sort((a, b) => b.ms - a.ms)
    .slice(0, SLOWEST)
    .map(({ ms, host, task }) => [`${ms} ms`, host, `${task.role}: ${task.name}`]);
  return [
    '',
    `PROFILE (${before})`,
    ...table([['host', 'phase', 'time', 'round trips', 'bytes out', 'bytes in'], ...rows]),
    ...(slowest.length > 0 ? ['', 'slowest changes', ...table(slowest)] : []),
  ].join('\n');
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd());
}
