/** One stage of a role on the hosts of a batch: facts of all, then each host's tasks. */
import pLimit from 'p-limit';
import type { FactRequests } from '../fact.ts';
import type { InventoryHost } from '../inventory/inventory.ts';
import type { Stage, TaskContext } from '../role.ts';
import { gatherFacts, type Requester, requesterOf } from './facts/gather-facts.ts';
import { HostStage, type HostStageContext } from './host-stage.ts';
import type { RoleContexts } from './plan/role-contexts.ts';
import { becomesRoot } from './plan/select-plays.ts';
import { instantiateTasks, type StagePlace } from './tasks/task-instances.ts';

/** What {@link runStage} needs of a run. */
export interface StageContext extends HostStageContext {
  readonly roles: RoleContexts;
}

/**
 * Runs a stage on `hosts`, those of them that are still in the run; they leave it where something fails.
 * @param once The host that does what is to be done once, by stage: the first of those that got there first.
 * @throws the first error that is no task's failure but a bug, once every host has ended the stage.
 */
export async function runStage(
  run: StageContext,
  place: StagePlace,
  hosts: readonly InventoryHost[],
  playHosts: readonly InventoryHost[],
  once: Map<Stage<unknown>, InventoryHost>,
): Promise<void> {
  const { play, call, stage } = place;
  const role = call.role.name;
  const names = hosts.map(({ name }) => name);
  run.events.emit({ type: 'stage-started', play: play.name, role, stage: stage.name, hosts: names });
  const contexts = await gatherFacts(
    run,
    hosts.map((host) =>
      requesterOf(host, run.roles.contextOf(place, call, host, playHosts), role, stage.facts, becomesRoot(play)),
    ),
    { phase: 'facts', role, stage: stage.name },
  );
  const first = once.get(stage) ?? firstAble(run, place, contexts);
  if (first) once.set(stage, first);
  const limit = pLimit(play.throttle ?? Number.POSITIVE_INFINITY);
  const stages = [...contexts].map(([{ host }, context]) => ({
    host,
    context,
    hostStage: new HostStage(run, place, host),
  }));
  // Throttled, the hosts behind are not even probed yet.
  const checked =
    play.throttle === undefined ? Promise.all(stages.map(({ hostStage }) => hostStage.checked)) : undefined;
  const ended = await Promise.allSettled(
    stages.map(({ hostStage, host, context }) => limit(() => hostStage.run(context, first ?? host, checked))),
  );
  for (const [i, end] of ended.entries()) {
    const host = stages[i]?.host;
    if (end.status === 'rejected' && host) run.roster.fail(host, { what: `a bug in Heartwood: ${end.reason}` });
  }
  for (const end of ended) if (end.status === 'rejected') throw end.reason;
}

/** The first host whose tasks can be computed: it does what is to be done once. Another host's error is its own. */
function firstAble(
  run: StageContext,
  place: StagePlace,
  contexts: ReadonlyMap<Requester, TaskContext<unknown, FactRequests>>,
): InventoryHost | undefined {
  const [only, ...others] = contexts.keys();
  // With no other host to take over, its tasks need not be computed for this.
  if (others.length === 0) return only?.host;
  for (const [{ host }, context] of contexts) {
    try {
      instantiateTasks(place, context, run.tags, host);
      return host;
    } catch {
      // Reported when the host's own stage runs.
    }
  }
  return undefined;
}
