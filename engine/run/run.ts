/**
 * A run: variables and connections are validated, facts and probes prefetched, preflight checks made, then the plays
 * run.
 */
import pLimit from 'p-limit';
import { ExitCode, type Problem, UserError } from '../errors.ts';
import type { HostRecap } from '../events.ts';
import type { InventoryHost } from '../inventory/inventory.ts';
import { clearProjectFiles } from '../project-files.ts';
import { ExclusiveLocks } from './exclusive-locks.ts';
import { resolveRoleVars, validateConnections } from './plan/resolve-vars.ts';
import { RoleContexts } from './plan/role-contexts.ts';
import type { RunOptions } from './plan/run-options.ts';
import { becomesRoot, type PlayRun, selectPlays } from './plan/select-plays.ts';
import { selectedCalls } from './plan/tags.ts';
import { runPlays } from './plays.ts';
import { type PrefetchContext, prefetch } from './prefetch.ts';
import { runPreflight } from './preflight-checks.ts';
import { HostRoster } from './report/host-roster.ts';
import { PeerSources } from './sessions/peer-sources.ts';
import { PrefetchCache } from './sessions/prefetch-cache.ts';
import { Sender } from './sessions/sender.ts';
import { SessionPool } from './sessions/session-pool.ts';
import type { StageContext } from './stage.ts';

/** How a run ended. */
export interface RunResult {
  readonly exitCode: ExitCode;
  readonly recap: readonly HostRecap[];
}

/**
 * Runs a playbook. Everything that happens is an event.
 * @throws UserError for all that can be known before a host is connected to: patterns, variables, connections.
 */
export async function run(options: RunOptions): Promise<RunResult> {
  const start = performance.now();
  clearProjectFiles();
  const { events, interruption } = options;
  const plays = selectPlays(options);
  const vars = resolveRoleVars(options, plays);
  validateConnections(options, plays);
  const hosts = hostsOf(options, plays);
  const roles = new RoleContexts(options.inventory, vars, hosts);
  const context = contextOf(options, roles, hosts);
  emitStart(options, hosts);
  interruption.onRequest((how) => {
    events.emit({ type: 'interrupted', how });
    void context.pool.interrupt(how);
  });
  let exitCode: ExitCode = ExitCode.bug;
  let problems: readonly Problem[] = [];
  try {
    connectAhead(options, context.sender, plays);
    await roles.load(plays, options.tags);
    if (options.prefetch) await prefetch(context, plays);
    if (!interruption.requested && (await runPreflight(context, plays))) await runPlays(context, plays);
    exitCode = exitCodeOf(options, context.roster);
  } catch (error) {
    if (error instanceof UserError) ({ exitCode, problems } = error);
    throw error;
  } finally {
    await context.pool.close();
    const ms = Math.round(performance.now() - start);
    events.emit({ type: 'run-finished', ms, recap: context.roster.lines(), exitCode, problems });
  }
  return { exitCode, recap: context.roster.lines() };
}

/** The hosts of all plays, in the inventory's order; then a localhost that only a play names. */
function hostsOf({ inventory }: RunOptions, plays: readonly PlayRun[]): readonly InventoryHost[] {
  const ofPlays = new Set(plays.flatMap(({ hosts }) => hosts));
  return [...new Set([...inventory.hosts.filter((host) => ofPlays.has(host)), ...ofPlays])];
}

/** The parts of a run, put together. Each part takes what it needs of them. */
function contextOf(
  options: RunOptions,
  roles: RoleContexts,
  hosts: readonly InventoryHost[],
): StageContext & PrefetchContext {
  const { events, interruption, tags, open, connect, inventory } = options;
  const pool = new SessionPool({
    open,
    connect,
    limit: pLimit(options.forks),
    events,
    lock: options.check ? undefined : options.lock,
    changeable: new Set(hosts.map(({ name }) => name)),
  });
  const roster = new HostRoster(inventory, hosts, events, (host) => pool.whyUnreachable(host) !== undefined);
  const cache = new PrefetchCache();
  return {
    events,
    interruption,
    tags,
    roles,
    pool,
    roster,
    cache,
    recap: roster.recap,
    sender: new Sender(pool, cache, events, options.showScripts),
    locks: new ExclusiveLocks(),
    peers: new PeerSources(),
    isCheck: options.check,
    isDiff: options.diff,
  };
}

function emitStart(options: RunOptions, hosts: readonly InventoryHost[]): void {
  const { events, inventory } = options;
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
  for (const problem of inventory.warnings) events.emit({ type: 'warning', problem });
}

/** Begins to connect to the hosts of the plays, so that they answer while the roles' modules are loaded here. */
function connectAhead({ tags }: RunOptions, sender: Sender, plays: readonly PlayRun[]): void {
  for (const { play, hosts } of plays) {
    if (selectedCalls(play, tags).length === 0) continue;
    for (const host of hosts) sender.connectAhead(host, becomesRoot(play));
  }
}

function exitCodeOf({ interruption }: RunOptions, roster: HostRoster): ExitCode {
  if (interruption.requested) return ExitCode.interrupted;
  const recap = roster.lines();
  if (recap.some(({ failed }) => failed > 0)) return ExitCode.failed;
  if (recap.some(({ unreachable }) => unreachable > 0)) return ExitCode.unreachable;
  return ExitCode.ok;
}
