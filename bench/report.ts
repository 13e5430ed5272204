/** Results as Markdown: every number for bench/results/published.md, ratios for README.md and docs/speed.md. */
import { goalResults } from './goals.ts';
import {
  type Cell,
  formatRatio,
  MIN_ROUND_TRIPS,
  median,
  physicalFloor,
  type Results,
  ratio,
  resultOf,
  type ToolResult,
} from './results.ts';
import { TITLES, TOOL_IDS, type ToolId } from './tools.ts';
import { workloads } from './workloads.ts';

/** Everything that was measured: a table for each cell. */
export function fullReport(results: Results): string {
  const titles = new Map(workloads().map(({ id, title }) => [id, title]));
  return [
    '# Heartwood beside other tools',
    '',
    ...aboutLines(results),
    '',
    ...(goalResults(results).length > 0 ? ['## Goals', '', ...goalLines([results]), ''] : []),
    ...results.cells.flatMap((cell) => [
      `## ${titles.get(cell.workload)}${conditionsOf(cell)}`,
      '',
      ...cellTable(cell),
      ...floorLines(cell),
      '',
    ]),
  ].join('\n');
}

/** When, where and with which versions it was measured. */
function aboutLines(results: Results): readonly string[] {
  const { startUp } = results;
  const [before, after] = results.machine.load;
  return [
    `${startOf(results)} UTC${results.quick ? ', a quick bench' : ''}.`,
    '',
    `- Machine: ${machineOf(results)}.`,
    `- Load average: ${before.toFixed(1)} at the start, ${after.toFixed(1)} at the end.${isBusy(results) ? ' **The machine was busy with other things: times are too long, and spread.**' : ''}`,
    `- Node starts in ${ms(median(startUp.nodeMs))}, with tsx in ${ms(median(startUp.tsxMs))}.`,
    ...versionLines([results]),
  ];
}

const startOf = ({ started }: Results): string => started.slice(0, 16).replace('T', ' ');

const machineOf = ({ machine }: Results): string =>
  `${machine.processor}, ${machine.cores} cores, ${Math.round(machine.memory / 2 ** 30)} GiB, Linux ${machine.kernel}, Node ${machine.node}`;

const isBusy = ({ machine }: Results): boolean => Math.max(...machine.load) > machine.cores;

/** A line for each tool, with every version of it that was measured. */
function versionLines(benches: readonly Results[], tools: readonly ToolId[] = TOOL_IDS): readonly string[] {
  return tools.flatMap((id) => {
    const versions = [...new Set(benches.flatMap((bench) => bench.versions[id] ?? []))];
    return versions.length === 0 ? [] : [`- ${TITLES[id]}: ${versions.join('; ')}`];
  });
}

function goalLines(benches: readonly Results[]): readonly string[] {
  return [
    '| goal | found | met |',
    '|---|---|---|',
    ...benches.flatMap(goalResults).map(({ goal, found, met }) => `| ${goal} | ${found} | ${met ? 'yes' : '**no**'} |`),
  ];
}

function conditionsOf({ rttMs, rc }: Cell): string {
  return `, ${rttMs} ms${rc === 'heavy' ? ', heavy login rc' : ''}`;
}

function cellTable(cell: Cell): readonly string[] {
  const own = resultOf(cell, 'heartwood');
  const floor = resultOf(cell, 'ssh');
  const rows = cell.tools.map((result) => {
    const { tool, wallMs, cpuMs, hostCpuMs, counts } = result;
    return [
      TITLES[tool],
      ms(median(wallMs)),
      `${ms(Math.min(...wallMs))} - ${ms(Math.max(...wallMs))}`,
      `${wallMs.length}`,
      ratioCell(own, result),
      ratioCell(floor, result),
      ms(median(cpuMs)),
      hostCpuMs.length > 0 ? ms(median(hostCpuMs)) : '',
      counts ? `${(counts.peakMemory / 1e6).toFixed(0)} MB` : '',
      counts?.processes === undefined ? '' : `${counts.processes}`,
      counts?.connections === undefined ? '' : `${counts.connections}`,
      counts?.roundTrips === undefined ? '' : `${counts.roundTrips}`,
      counts?.bytesOut === undefined ? '' : `${kilo(counts.bytesOut)} / ${kilo(counts.bytesIn ?? 0)}`,
    ];
  });
  const head = [
    'tool',
    'median',
    'min - max',
    'runs',
    'to Heartwood',
    'to the script',
    'processor',
    'of the host',
    'memory',
    'processes',
    'connections',
    'round trips',
    'kB out / in',
  ];
  return table(head, rows);
}

function floorLines(cell: Cell): readonly string[] {
  const floor = physicalFloor(cell);
  const own = resultOf(cell, 'heartwood');
  if (floor === undefined || !own) return [];
  return [
    '',
    `Physical floor: ${MIN_ROUND_TRIPS} round trips of ${cell.rttMs} ms and the script's own ${ms(cell.scriptMs ?? 0)}: ${ms(floor)}. Heartwood takes ${formatRatio(median(own.wallMs) / floor)} that.`,
  ];
}

/** The ratios: how many times as long as Heartwood each tool took. */
export function ratioTable(results: Results): string {
  const titles = new Map(workloads().map(({ id, title }) => [id, title]));
  const peers = TOOL_IDS.filter((id) => id !== 'heartwood' && results.versions[id] !== undefined);
  const rows = results.cells.map((cell) => [
    `${titles.get(cell.workload)}${conditionsOf(cell)}`,
    ...peers.map((id) => ratioCell(resultOf(cell, 'heartwood'), resultOf(cell, id))),
  ]);
  return table(['', ...peers.map((id: ToolId) => TITLES[id])], rows).join('\n');
}

/**
 * The section of docs/speed.md between the markers.
 * @param all One bench with the cells of all.
 */
export function speedSection(benches: readonly Results[], all: Results): string {
  return [
    ...new Set(benches.map((bench) => `- Machine: ${machineOf(bench)}.`)),
    ...versionLines(
      benches,
      TOOL_IDS.filter((id) => id !== 'heartwood'),
    ),
    '',
    ratioTable(all),
    '',
    ...goalLines(benches),
    '',
    'Each row was measured in one go, the tools in turn; the rows in these parts:',
    '',
    ...table(
      ['begun, UTC', 'Heartwood', 'rows', 'runs of each tool', 'load before', 'after', 'Node', 'with tsx'],
      benches.map((bench) => [
        startOf(bench),
        bench.versions.heartwood ?? '',
        bench.cells.map((cell) => `${cell.workload}${conditionsOf(cell)}`).join('; '),
        runsOf(bench),
        ...bench.machine.load.map((load) => `${load.toFixed(1)}${load > bench.machine.cores ? ' (busy)' : ''}`),
        ms(median(bench.startUp.nodeMs)),
        ms(median(bench.startUp.tsxMs)),
      ]),
    ),
  ].join('\n');
}

/** `5`, or `1 to 5` where slow tools had fewer. */
function runsOf({ cells }: Results): string {
  const runs = cells.flatMap(({ tools }) => tools.map(({ wallMs }) => wallMs.length));
  const [least, most] = [Math.min(...runs), Math.max(...runs)];
  return least === most ? `${most}` : `${least} to ${most}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), `|${head.map((_, i) => (i === 0 ? '---' : '---:')).join('|')}|`, ...rows.map(line)];
}

function ms(value: number): string {
  if (value < 1000) return `${value.toFixed(0)} ms`;
  return `${(value / 1000).toFixed(value < 10_000 ? 2 : 1)} s`;
}

/** The ratio as text. Empty where one of them was not measured. */
function ratioCell(one: ToolResult | undefined, other: ToolResult | undefined): string {
  const value = ratio(one, other);
  return value === undefined ? '' : formatRatio(value);
}

function kilo(bytes: number): string {
  return (bytes / 1000).toFixed(bytes < 10_000 ? 1 : 0);
}
