/** The results of a bench, as they are written to JSON files. */
import { cpus, loadavg, release, totalmem } from 'node:os';
import type { RelayTraffic } from '../lab/relay.ts';
import type { LoginRc } from './hosts.ts';
import type { Counts } from './measure.ts';
import type { ToolId } from './tools.ts';
import type { WorkloadId } from './workloads.ts';

/** One tool, one workload, one latency, one rc file. */
export interface ToolResult {
  readonly tool: ToolId;
  /** Each timed run, in order. */
  readonly wallMs: readonly number[];
  readonly cpuMs: readonly number[];
  /** Processor time of the hosts during each run. Empty where the workload has no hosts. */
  readonly hostCpuMs: readonly number[];
  /** From a run of its own, without latency. Undefined where there was no such run. */
  readonly counts?: Counts & Partial<RelayTraffic>;
}

/** One workload at one latency, with one login rc file. */
export interface Cell {
  readonly workload: WorkloadId;
  readonly rttMs: number;
  readonly rc: LoginRc;
  readonly tools: readonly ToolResult[];
  /** The hand-made script, run on the host without ssh. Undefined where the workload is no script. */
  readonly scriptMs?: number;
}

/** A whole bench. */
export interface Results {
  readonly started: string;
  readonly finished: string;
  readonly quick: boolean;
  /** The machine, and its load averages over one minute at the start and at the end. */
  readonly machine: {
    readonly processor: string;
    readonly cores: number;
    readonly memory: number;
    readonly kernel: string;
    readonly node: string;
    readonly load: readonly [number, number];
  };
  readonly versions: Readonly<Partial<Record<ToolId, string>>>;
  /** How long Node, and Node with tsx, take to run an empty program. */
  readonly startUp: { readonly nodeMs: readonly number[]; readonly tsxMs: readonly number[] };
  readonly cells: readonly Cell[];
}

/** This machine. @param loadBefore What {@link load} returned at the start. */
export function machine(loadBefore: number): Results['machine'] {
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memory: totalmem(),
    kernel: release(),
    node: process.version,
    load: [loadBefore, load()],
  };
}

/** The load average over the last minute. */
export function load(): number {
  return loadavg()[0] ?? 0;
}

/** The middle value, or the mean of two middle ones. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? Number.NaN) + upper) / 2;
}

/** The result of a tool in a cell. */
export function resultOf(cell: Cell | undefined, tool: ToolId): ToolResult | undefined {
  return cell?.tools.find((result) => result.tool === tool);
}

/** The median of `other` divided by that of `one`. Undefined where one of them is missing. */
export function ratio(one: ToolResult | undefined, other: ToolResult | undefined): number | undefined {
  return one && other ? median(other.wallMs) / median(one.wallMs) : undefined;
}

/** A ratio as text. Close to 1 it has two decimals, to show which tool is faster. */
export function formatRatio(value: number): string {
  const isClose = value !== 1 && value > 0.95 && value < 1.05;
  return `${value.toFixed(value >= 10 ? 0 : isClose ? 2 : 1)}x`;
}

/**
 * The least number of round trips from the connection to a script's output: TCP; banners and offers; the key exchange;
 * service and public key; the channel; the command with its script, and the output (RFC 4253, 4252, 4254).
 */
export const MIN_ROUND_TRIPS = 6;

/** The least time that any tool over SSH can take: its round trips at that latency, and the script itself. */
export function physicalFloor(cell: Cell): number | undefined {
  return cell.scriptMs === undefined ? undefined : MIN_ROUND_TRIPS * cell.rttMs + cell.scriptMs;
}
