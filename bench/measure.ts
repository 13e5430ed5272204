/**
 * Measures a command: wall time and processor time, and in a run of its own memory and processes. The command runs in a
 * control group. So what it leaves in the background (ssh's masters) counts too, and is killed afterwards.
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { hierarchies, killGroup, makeGroup, processesIn, removeGroup } from '../lab/cgroups.ts';
import type { Command } from './job.ts';
import { benchPath } from './paths.ts';

/** How a run went. */
export interface Run {
  /** Milliseconds from start to end. */
  readonly wallMs: number;
  /** Milliseconds of processor time, user and system, of all its processes on this machine. */
  readonly cpuMs: number;
  readonly exitCode: number;
  /** The end of what it printed. */
  readonly output: string;
}

/** What is counted, in a run of its own: counting takes time. */
export interface Counts {
  /** The most memory all its processes had at once, in bytes; what they share counts once (PSS). */
  readonly peakMemory: number;
  /** Processes started, the first included; undefined without strace. */
  readonly processes: number | undefined;
}

/** A run that takes longer is killed, and fails. */
const RUN_TIMEOUT_MS = 1_800_000;

/** Milliseconds between two samples of the memory. */
const SAMPLE_INTERVAL_MS = 50;

let runs = 0;

/** Runs a command and times it. */
export async function timed(command: Command): Promise<Run> {
  return runInCgroup(command, [], async () => {});
}

/** Runs a command and counts what it takes. */
export async function counted(command: Command): Promise<{ readonly run: Run; readonly counts: Counts }> {
  const traces = benchPath('traces', 'run');
  rmSync(traces, { recursive: true, force: true });
  mkdirSync(traces, { recursive: true });
  const strace = ['/usr/bin/strace', '/usr/local/bin/strace'].find(existsSync);
  const trace = strace
    ? [strace, '-ff', '-qqq', '--seccomp-bpf', '-e', 'trace=clone,clone3,fork,vfork', '-o', join(traces, 't')]
    : [];
  let peakMemory = 0;
  const run = await runInCgroup(command, trace, async (group) => {
    peakMemory = Math.max(peakMemory, memoryOf(group));
  });
  const counts = { peakMemory, processes: strace ? 1 + startedIn(traces) : undefined };
  rmSync(traces, { recursive: true, force: true });
  return { run, counts };
}

/**
 * Runs a command in a control group of its own, with the words of `prefix` in front, and calls `sample` at intervals.
 */
async function runInCgroup(
  command: Command,
  prefix: readonly string[],
  sample: (group: string) => Promise<void>,
): Promise<Run> {
  const group = `heartwood-bench-${process.pid}-${++runs}`;
  const enter = `for group in ${makeGroup(group).join(' ')}; do echo 0 > "$group/cgroup.procs" || exit 125; done; exec "$@"`;
  const outputFile = benchPath('output', `${runs}`);
  const out = openSync(outputFile, 'w');
  const input = openSync(command.stdin ?? '/dev/null', 'r');
  try {
    const start = performance.now();
    const child = spawn('sh', ['-c', enter, 'sh', ...prefix, ...command.argv], {
      cwd: command.cwd,
      env: { ...process.env, ...command.env },
      stdio: [input, out, out],
    });
    const timers = [
      setInterval(() => void sample(group), SAMPLE_INTERVAL_MS),
      setTimeout(() => child.kill('SIGKILL'), RUN_TIMEOUT_MS),
    ];
    // Not `close`: a process in the background keeps the output open.
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => resolve(code ?? 128));
    });
    const wallMs = performance.now() - start;
    for (const timer of timers) clearInterval(timer);
    const cpuMs = cpuOf(group);
    return { wallMs, cpuMs, exitCode, output: readFileSync(outputFile, 'utf8').slice(-4000) };
  } finally {
    closeSync(out);
    closeSync(input);
    await killGroup(group);
    await removeGroup(group);
    rmSync(outputFile, { force: true });
  }
}

/**
 * Processor time of a control group so far, in milliseconds (kernel documentation: cgroup-v1/cpuacct.rst,
 * cgroup-v2.rst).
 */
export function cpuOf(group: string): number {
  for (const { path, version, controllers } of hierarchies()) {
    if (controllers.includes('cpuacct')) return Number(readFileSync(join(path, group, 'cpuacct.usage'), 'utf8')) / 1e6;
    const file = join(path, group, 'cpu.stat');
    const usage = version === 2 && existsSync(file) ? /^usage_usec (\d+)$/m.exec(readFileSync(file, 'utf8')) : null;
    if (usage && hierarchies().every((one) => !one.controllers.includes('cpuacct'))) return Number(usage[1]) / 1e3;
  }
  throw new Error('this machine counts no processor time in control groups');
}

/** Memory of all processes of a group now, in bytes: what several share counts once. */
function memoryOf(group: string): number {
  let sum = 0;
  for (const id of processesIn(group)) {
    try {
      if (readFileSync(`/proc/${id}/comm`, 'utf8').trim() === 'strace') continue;
      sum += 1024 * Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${id}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
    } catch {
      // The process has ended.
    }
  }
  return sum;
}

/** Counts the processes, not the threads, in the traces of a folder. */
function startedIn(traces: string): number {
  let count = 0;
  for (const name of readdirSync(traces)) {
    for (const line of readFileSync(join(traces, name), 'utf8').split('\n')) {
      if (/^(clone3?|v?fork)\(.* = \d+$/.test(line) && !line.includes('CLONE_THREAD')) count++;
    }
  }
  return count;
}
