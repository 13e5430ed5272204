/** What a bench found out, as it is written to `bench/results/*.json`. */
import { cpus, loadavg, release, totalmem } from 'node:os';
import type { RelayTraffic } from '../lab/relay.ts';
import type { LoginRc } from './hosts.ts';
import type { Counts } from './measure.ts';
import type { ToolId } from './peers.ts';
import type { WorkloadId } from './workloads.ts';

/** One tool at one workload in one place. */
export interface ToolResult {
  readonly tool: ToolId;
  /** Of each timed run, in the order they were made. */
  readonly wallMs: readonly number[];
  readonly cpuMs: readonly number[];
  /** Processor time of the hosts meanwhile; empty where the workload has none. */
  readonly hostCpuMs: readonly number[];
  /** From a run of its own, without distance; undefined where it was not made. */
  readonly counts?: Counts & Partial<RelayTraffic>;
}

/** One workload, at one distance, with one login rc file. */
export interface Cell {
  readonly workload: WorkloadId;
  readonly rttMs: number;
  readonly rc: LoginRc;
  readonly tools: readonly ToolResult[];
  /** The hand-made script alone, run on the host without ssh, where the workload is one. */
  readonly scriptMs?: number;
}

/** A whole bench. */
export interface Results {
  readonly started: string;
  readonly finished: string;
  readonly quick: boolean;
  /** The machine, and how busy it was: load averages over one minute at the start and the end. */
  readonly machine: {
    readonly processor: string;
    readonly cores: number;
    readonly memory: number;
    readonly kernel: string;
    readonly node: string;
    readonly load: readonly [number, number];
  };
  readonly versions: Readonly<Partial<Record<ToolId, string>>>;
  /** What it takes to start Node, and Node with tsx, for a program that does nothing. */
  readonly startUp: { readonly nodeMs: readonly number[]; readonly tsxMs: readonly number[] };
  readonly cells: readonly Cell[];
}

/** The machine now; `loadBefore` is what {@link load} said at the start. */
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

/** Processes that want to run, averaged over the last minute. */
export function load(): number {
  return loadavg()[0] ?? 0;
}

/** The middle value; of two middle ones, their mean. */
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

/** How many times as long as `one` the `other` took, by their medians; undefined where one is missing. */
export function ratio(one: ToolResult | undefined, other: ToolResult | undefined): number | undefined {
  return one && other ? median(other.wallMs) / median(one.wallMs) : undefined;
}

/** A ratio for people. Close to one, it says who was ahead. */
export function times(value: number): string {
  const isClose = value !== 1 && value > 0.95 && value < 1.05;
  return `${value.toFixed(value >= 10 ? 0 : isClose ? 2 : 1)}x`;
}

/**
 * Round trips that SSH takes at the least before a script runs and its output is there: TCP; both banners and offers; the key
 * exchange; service and public key; the channel; the command with its script, and the answer (RFC 4253, 4252, 4254).
 */
export const LEAST_ROUND_TRIPS = 6;

/** What no tool that uses SSH can go below: its round trips at that distance, and the script itself. */
export function physicalFloor(cell: Cell): number | undefined {
  return cell.scriptMs === undefined ? undefined : LEAST_ROUND_TRIPS * cell.rttMs + cell.scriptMs;
}
