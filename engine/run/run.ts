/** A run: variables checked, hosts checked, then play by play, batch by batch, role by role. */
import pLimit from 'p-limit';
import { ExitCode, type Problem, UserError } from '../errors.ts';
import type { HostRecap } from '../events.ts';
import type { InventoryHost } from '../inventory/inventory.ts';
import type { Play } from '../play.ts';
import type { RoleCall, Stage } from '../role.ts';
import { type PlayRun, RunContext } from './context.ts';
import { ExclusiveLocks } from './exclusive-locks.ts';
import { batches } from './plan/batches.ts';
import { checkConnections, resolveAll, selectPlays } from './plan/select-plays.ts';
import { prefetch } from './prefetch.ts';
import { runPreflight } from './preflight-checks.ts';
import type { RunOptions } from './run-options.ts';
import { SessionPool } from './sessions/session-pool.ts';
import { runStage } from './stage.ts';
import { selectedCalls } from './tasks/task-instances.ts';

/** How a run ended. */
export interface RunResult {
  readonly exitCode: ExitCode;
  readonly recap: readonly HostRecap[];
}

/**
 * Runs a playbook. Everything that happens is an event.
 * @throws UserError for all that can be known before a host is touched: patterns, variables.
 */
export async function run(options: RunOptions): Promise<RunResult> {
  const start = performance.now();
  const plays = selectPlays(options);
  const vars = resolveAll(options, plays);
  checkConnections(options, plays);
  const ofPlays = new Set(plays.flatMap((play) => play.hosts));
  // In the inventory's order; then a localhost that only a play names.
  const hosts = [...new Set([...options.inventory.hosts.filter((host) => ofPlays.has(host)), ...ofPlays])];
  const names = hosts.map(({ name }) => name);
  const { events } = options;
  const pool = new SessionPool({
    open: options.open,
    connect: options.connect,
    limit: pLimit(options.forks),
    events,
    lock: options.check ? undefined : options.lock,
    changeable: new Set(names),
  });
  const context = new RunContext(options, pool, new ExclusiveLocks(), hosts, vars);
  events.emit({
    type: 'run-started',
    run: options.lock.runId,
    playbook: options.playbook.title,
    argv: options.argv,
    mode: options.check ? 'check' : 'apply',
    diff: options.diff,
    hosts: hosts.filter(({ implicit }) => !implicit).map(({ name }) => name),
    version: options.version,
    startUp: options.startUp,
  });
  for (const problem of options.inventory.warnings) events.emit({ type: 'warning', problem });
  options.interruption.onRequest((how) => {
    events.emit({ type: 'interrupted', how });
    void pool.interrupt(how);
  });
  let exitCode: ExitCode = ExitCode.bug;
  let problems: readonly Problem[] = [];
  try {
    connectAhead(context, plays);
    await context.load(plays);
    if (options.speculation) await prefetch(context, plays);
    if (!context.stopping && (await runPreflight(context, plays))) await runPlays(context, plays);
    exitCode = exitCodeOf(context);
  } catch (error) {
    if (error instanceof UserError) ({ exitCode, problems } = error);
    throw error;
  } finally {
    await pool.close();
    events.emit({
      type: 'run-finished',
      ms: Math.round(performance.now() - start),
      recap: context.recap(),
      exitCode,
      problems,
    });
  }
  return { exitCode, recap: context.recap() };
}

/** Begins to connect to the hosts of the plays, so that they answer while the roles' modules are loaded here. */
function connectAhead(run: RunContext, plays: readonly PlayRun[]): void {
  for (const { play, hosts } of plays) {
    if (selectedCalls(play, run.options.tags).length === 0) continue;
    for (const host of hosts) run.pool.connectAhead(host, run.becomes(play));
  }
}

async function runPlays(run: RunContext, plays: readonly PlayRun[]): Promise<void> {
  for (const playRun of plays) {
    if (run.stopping) return;
    const alive = playRun.hosts.filter((host) => run.isIn(host));
    if (alive.length === 0) continue;
    const calls = selectedCalls(playRun.play, run.options.tags);
    if (calls.length === 0) continue;
    run.events.emit({ type: 'play-started', play: playRun.play.name, hosts: alive.map(({ name }) => name) });
    for (const batch of batches(alive, playRun.play.serial)) {
      if (run.stopping) return;
      if (!(await runBatch(run, playRun, calls, batch))) return;
    }
  }
}

/** @returns false when the failures in this batch end the run. */
async function runBatch(
  run: RunContext,
  { play, hosts }: PlayRun,
  calls: readonly RoleCall[],
  batch: readonly InventoryHost[],
): Promise<boolean> {
  run.events.emit({ type: 'batch-started', play: play.name, hosts: batch.map(({ name }) => name) });
  let ended = false;
  const once = new Map(calls.map((call) => [call, new Map<Stage<unknown>, InventoryHost>()]));
  const runLane = async (lane: readonly InventoryHost[]): Promise<void> => {
    for (const call of calls) {
      for (const stage of run.bodyOf(call).stages) {
        const alive = lane.filter((host) => run.isIn(host));
        if (run.stopping || ended || alive.length === 0) return;
        const place = { play, call, stage };
        const playHosts = hosts.filter((host) => run.isIn(host));
        await runStage(run, place, alive, playHosts, once.get(call) ?? new Map());
        ended ||= endsPlay(run, play, batch);
      }
    }
  };
  // Hosts that go through the stages together.
  const lanes = play.strategy === 'free' ? batch.map((host) => [host]) : [batch];
  const limit = pLimit(play.throttle ?? Number.POSITIVE_INFINITY);
  await Promise.all(lanes.map((lane) => limit(() => runLane(lane))));
  if (ended) return false;
  // As in Ansible: a batch of `serial` that failed as a whole ends the run, so that the next is not lost too.
  return batch.some((host) => run.isIn(host));
}

function endsPlay(run: RunContext, play: Play, batch: readonly InventoryHost[]): boolean {
  const failed = batch.filter((host) => !run.isIn(host)).length;
  if (failed === 0) return false;
  if (play.anyErrorsFatal) return true;
  return play.maxFailPercentage !== undefined && (failed / batch.length) * 100 > play.maxFailPercentage;
}

function exitCodeOf(run: RunContext): ExitCode {
  if (run.stopping) return ExitCode.interrupted;
  const recap = run.recap();
  if (recap.some(({ failed }) => failed > 0)) return ExitCode.failed;
  if (recap.some(({ unreachable }) => unreachable > 0)) return ExitCode.unreachable;
  return ExitCode.ok;
}
