/** `--profile`: where a run's time went, from its events. */
import type { Phase, RunEvent } from '../events.ts';

/** How many of the slowest tasks are named. */
const SLOWEST = 10;

/** Phases of each host with time, round trips and bytes; then the slowest tasks. */
export function profileText(events: readonly RunEvent[], startUpMs: number): string {
  const hosts = new Map<string, Map<Phase, { ms: number; roundTrips: number; bytesOut: number; bytesIn: number }>>();
  const add = (
    host: string,
    phase: Phase,
    cost: { ms: number; roundTrips: number; bytesOut: number; bytesIn: number },
  ) => {
    const phases = hosts.get(host) ?? new Map();
    hosts.set(host, phases);
    const sum = phases.get(phase) ?? { ms: 0, roundTrips: 0, bytesOut: 0, bytesIn: 0 };
    phases.set(phase, {
      ms: sum.ms + cost.ms,
      roundTrips: sum.roundTrips + cost.roundTrips,
      bytesOut: sum.bytesOut + cost.bytesOut,
      bytesIn: sum.bytesIn + cost.bytesIn,
    });
  };
  for (const event of events) {
    if (event.type === 'host-connected')
      add(event.host, 'connect', { ms: event.ms, roundTrips: 0, bytesOut: 0, bytesIn: 0 });
    if (event.type === 'phase-finished') add(event.host, event.phase, event.cost);
  }
  const rows = [...hosts].flatMap(([host, phases]) =>
    [...phases].map(([phase, { ms, roundTrips, bytesOut, bytesIn }]) => [
      host,
      phase,
      `${ms} ms`,
      `${roundTrips}`,
      `${bytesOut}`,
      `${bytesIn}`,
    ]),
  );
  const slowest = events
    .filter((event) => event.type === 'task-finished')
    .filter(({ ms }) => ms > 0)
    .sort((a, b) => b.ms - a.ms)
    .slice(0, SLOWEST)
    .map(({ ms, host, task }) => [`${ms} ms`, host, `${task.role}: ${task.name}`]);
  return [
    '',
    `PROFILE (start-up ${startUpMs} ms)`,
    ...table([['host', 'phase', 'time', 'round trips', 'bytes out', 'bytes in'], ...rows]),
    ...(slowest.length > 0 ? ['', 'slowest changes', ...table(slowest)] : []),
  ].join('\n');
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd());
}
