/** The plays of a run: batch by batch, role by role, stage by stage. */
import pLimit from 'p-limit';
import type { InventoryHost } from '../inventory/inventory.ts';
import type { Play } from '../play.ts';
import type { RoleCall, Stage } from '../role.ts';
import { batches } from './plan/batches.ts';
import type { PlayRun } from './plan/select-plays.ts';
import { selectedCalls } from './plan/tags.ts';
import type { HostRoster } from './report/host-roster.ts';
import { runStage, type StageContext } from './stage.ts';

/** Runs the plays until the user asks to stop, or failures end the run. */
export async function runPlays(run: StageContext, plays: readonly PlayRun[]): Promise<void> {
  for (const playRun of plays) {
    if (run.interruption.requested) return;
    const { play } = playRun;
    const active = playRun.hosts.filter((host) => run.roster.isActive(host));
    const calls = selectedCalls(play, run.tags);
    if (active.length === 0 || calls.length === 0) continue;
    run.events.emit({ type: 'play-started', play: play.name, hosts: active.map(({ name }) => name) });
    for (const batch of batches(active, play.serial)) {
      if (run.interruption.requested) return;
      if (!(await runBatch(run, playRun, calls, batch))) return;
    }
  }
}

/** @returns false when the failures in this batch end the run. */
async function runBatch(
  run: StageContext,
  { play, hosts }: PlayRun,
  calls: readonly RoleCall[],
  batch: readonly InventoryHost[],
): Promise<boolean> {
  const { roster } = run;
  run.events.emit({ type: 'batch-started', play: play.name, hosts: batch.map(({ name }) => name) });
  let isEnded = false;
  const once = new Map(calls.map((call) => [call, new Map<Stage<unknown>, InventoryHost>()]));
  const runLane = async (lane: readonly InventoryHost[]): Promise<void> => {
    for (const call of calls) {
      for (const stage of run.roles.bodyOf(call).stages) {
        const active = lane.filter((host) => roster.isActive(host));
        if (run.interruption.requested || isEnded || active.length === 0) return;
        const playHosts = hosts.filter((host) => roster.isActive(host));
        await runStage(run, { play, call, stage }, active, playHosts, once.get(call) ?? new Map());
        isEnded ||= endsRun(roster, play, batch);
      }
    }
  };
  // A lane: hosts that go through the stages together.
  const lanes = play.strategy === 'free' ? batch.map((host) => [host]) : [batch];
  const limit = pLimit(play.throttle ?? Number.POSITIVE_INFINITY);
  const ended = await Promise.allSettled(lanes.map((lane) => limit(() => runLane(lane))));
  for (const end of ended) if (end.status === 'rejected') throw end.reason;
  if (isEnded) return false;
  // As in Ansible: a batch of `serial` that failed as a whole ends the run, so that the next is not lost too.
  return batch.some((host) => roster.isActive(host));
}

function endsRun(roster: HostRoster, play: Play, batch: readonly InventoryHost[]): boolean {
  const failed = batch.filter((host) => !roster.isActive(host)).length;
  if (failed === 0) return false;
  if (play.anyErrorsFatal) return true;
  return play.maxFailPercentage !== undefined && (failed / batch.length) * 100 > play.maxFailPercentage;
}
