/** Every piece of shell that runs on hosts, with realistic arguments: for shellcheck. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { FactAnswers, FactRequests } from '../../engine/fact.ts';
import type { InventoryHost } from '../../engine/inventory/inventory.ts';
import { loadInventory } from '../../engine/inventory/load.ts';
import { play } from '../../engine/play.ts';
import { sha256OfStart } from '../../engine/project-files.ts';
import { lockCommand } from '../../engine/remote/host-lock.ts';
import { killSessionScript, killStepScript, skipRestScript } from '../../engine/remote/kill-process-tree.ts';
import { remoteRuntime } from '../../engine/remote/remote-runtime.ts';
import type { Resource } from '../../engine/resource.ts';
import { copy } from '../../engine/resources/copy.ts';
import { kubernetesObject } from '../../engine/resources/kubernetes.ts';
import type { AskContext, RoleBody, RoleCall } from '../../engine/role.ts';
import {
  clearOnSuccess,
  clearPending,
  isPending,
  listPending,
  markPending,
  withPendingMark,
} from '../../engine/run/tasks/pending-handlers.ts';
import { type Script, sh } from '../../engine/script.ts';
import { holds, type State } from '../../engine/state.ts';
import type { Task } from '../../engine/task.ts';
import { resolverFor } from '../../engine/vars/resolve.ts';
import { noLeftoverAt } from '../../roles/k3s/etcd.ts';
import { withApiRelay } from '../../roles/k3s/vip.ts';
import { loadRole, roleNames } from '../../roles/load.ts';
import type { Example } from '../contract/example.ts';
import { downloads } from '../contract/examples/downloads.ts';
import { localFiles } from '../contract/examples/paths.ts';
import { exampleTables } from './example-tables.ts';
import { REPOSITORY } from './program.ts';

/** Every script, by what it belongs to. */
export const scripts = new Map<string, Script>();
/** Shell that is no {@link Script}: what a session runs besides steps. */
export const texts = new Map<string, string>();

function collect(of: string, script: Script | undefined): void {
  if (script) scripts.set(of, script);
}

function collectResource(of: string, resource: Resource, found: State = {}): void {
  collect(`${of}: probe`, resource.probe);
  collect(`${of}: change`, resource.change(found));
  collect(`${of}: undo`, resource.undo?.(found));
  collect(`${of}: detail`, resource.detail?.script);
  collect(`${of}: upload`, resource.upload?.(found)?.script);
  collect(`${of}: confirm`, resource.confirm?.script);
  collect(`${of}: peer read`, resource.peerSource?.read);
  collect(`${of}: peer write`, resource.peerSource?.write);
  const { sharedProbe } = resource;
  if (sharedProbe) collect(`${of}: shared probe`, sh`${sharedProbe.fn} ${sharedProbe.args}`);
  const merged = resource.mergeable?.(found);
  if (merged) collect(`${of}: merged`, merged.change([merged.part, merged.part]));
}

export const tables: readonly (readonly Example[])[] = [
  ...(await exampleTables(join(REPOSITORY, 'test/contract/examples'))),
  // This table needs to know its mirror.
  downloads('http://mirror.example'),
];
const states: readonly State[] = [
  {},
  { type: 'absent', parent: '/srv', enabled: 'no', active: 'no', policy: 'deny' },
  {
    type: 'directory',
    mode: '0700',
    owner: 'root',
    group: 'root',
    enabled: 'yes',
    'unit-file': 'linked',
    active: 'yes',
  },
];
for (const { name, resource } of tables.flat()) {
  for (const [i, found] of states.entries()) collectResource(`${resource.kind}: ${name} (${i})`, resource, found);
}
const large = join(localFiles, 'large');
collectResource('copy: an upload that continues', copy({ path: '/srv/x', from: large }), {
  received: '100000',
  'received.sha256': sha256OfStart(large, 100000),
});
const daemonSet = { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: { name: 'd', namespace: 'n' } };
const rollout = { condition: 'rolled out', deadline: 7 };
collectResource(
  'kubernetes: a rollout',
  kubernetesObject({ manifest: daemonSet, kubectl: sh`kubectl`, waitFor: rollout }),
);
rmSync(localFiles, { recursive: true });

function collectStage(of: string, tasks: readonly Task[]): void {
  for (const { name, action, options } of tasks) {
    if (action.kind !== 'verdict') collectResource(`${of}: ${name}`, action as Resource);
    const { before, after } = options.disrupts ?? {};
    if (before) collectResource(`${of}: before ${name}`, before);
    if (after) collectResource(`${of}: after ${name}`, after);
  }
}

function answersOf(of: string, requests: FactRequests): FactAnswers<FactRequests> {
  return Object.fromEntries(
    Object.entries(requests).map(([name, request]) => {
      const fact = 'fact' in request ? request.fact : request;
      collect(`${of}: ${fact.name}`, fact.script);
      return [name, 'fact' in request ? new Map(request.of.map((host) => [host.name, fact.example])) : fact.example];
    }),
  ) as FactAnswers<FactRequests>;
}

function collectRole(name: string, { checks, stages }: RoleBody, ask: AskContext<unknown>): void {
  if (checks) answersOf(`${name} checks`, checks.facts(ask));
  for (const stage of stages) {
    const of = `${name} ${stage.name}`;
    const context = { ...ask, facts: answersOf(of, stage.facts?.(ask) ?? {}) };
    collectStage(of, stage.tasks(context));
    collectStage(of, Object.values(stage.handlers?.(context) ?? {}));
  }
}

const inventory = await loadInventory({ sources: [join(REPOSITORY, 'hosts.example')] });
const group = (name: string): readonly InventoryHost[] => inventory.groups.get(name) ?? [];
for (const name of roleNames()) {
  const { role } = await loadRole(name);
  const call: RoleCall = { role, vars: {}, tags: [] };
  const hosts = role.hosts === 'localhost' ? inventory.hosts.slice(0, 1) : group(role.hosts);
  const aPlay = play({ name, hosts: role.hosts, roles: [call] });
  const resolveVars = resolverFor([aPlay], inventory);
  for (const host of [hosts[0], hosts.at(-1)]) {
    if (!host) continue;
    const resolved = resolveVars(host, call, aPlay);
    if (!resolved.ok) throw new Error(JSON.stringify(resolved.problems));
    const ask = {
      vars: resolved.vars,
      host,
      group,
      inventory: inventory.hosts,
      playHosts: hosts,
      runHosts: inventory.hosts,
    };
    collectRole(`${name} on ${host.name}`, await role.load(), ask);
  }
}
// What depends on facts that the examples do not have.
collectResource('etcd member left over', noLeftoverAt('10.0.0.1'));
collect('address relayed', withApiRelay('10.0.0.9', { node: 'node-1', ip: '10.0.0.1' }, 60, sh`systemctl restart k3s`));
// What a run adds to changes.
collect('guard', holds({ type: 'file' }));
collect('handlers pending', listPending);
collect('handler pending', isPending('restart'));
collect('notifies', withPendingMark(['restart'], sh`true`));
collect('notifies a handler elsewhere', markPending(['restart']));
collect('handler', clearOnSuccess('restart', sh`true`));
collect('handler cleared', clearPending('restart'));
texts.set('remote runtime', remoteRuntime('mark'));
texts.set('kill step', killStepScript(10, { pid: 11, start: 12 }));
texts.set('kill shell', killSessionScript({ pid: 10 }, 'TERM'));
texts.set('skip the rest', skipRestScript(10));
texts.set('lock', lockCommand({ runId: 'r1', holder: 'me', controller: '-' }));
