/** Begin, join or carry on: whatever the servers' disks hold, there is never a second cluster. */
import fc from 'fast-check';
import t from 'tap';
import { decisionVerdict } from '../../roles/k3s-server/checks.ts';
import { type Decision, decide, quorumWords, type ServerState, tolerance } from '../../roles/k3s-server/decision.ts';

const empty: ServerState = {
  datastore: 'none',
  removed: false,
  ca: undefined,
  server: 'absent',
  agent: 'absent',
  joins: undefined,
};
const member: ServerState = { ...empty, datastore: 'etcd', ca: 'aaaa', server: 'active' };
const servers = ['server-1', 'server-2', 'server-3'];

/** The decision for `self`, given what each server has; a server that is left out could not be asked. */
function decided(self: string, states: Readonly<Record<string, ServerState>>, trustAbsent = false): Decision {
  return decide({ self, servers, states: new Map(Object.entries(states)), trustAbsent });
}

const all = (state: ServerState) => Object.fromEntries(servers.map((name) => [name, state]));

t.test('on fresh hosts the first server begins, and the others join it', async (t) => {
  t.same(decided('server-1', all(empty)), { kind: 'init' });
  t.same(decided('server-2', all(empty)), { kind: 'join', via: 'server-1', clusterExists: false });
});

t.test('a first server that lost its disk joins the others instead of beginning', async (t) => {
  const states = { 'server-1': empty, 'server-2': { ...member, server: 'inactive' as const }, 'server-3': member };
  t.same(decided('server-1', states), { kind: 'join', via: 'server-3', clusterExists: true }, 'through one that runs');
});

t.test('a member carries on, whether it runs or not', async (t) => {
  t.same(decided('server-2', all(member)), { kind: 'member' });
  t.same(decided('server-2', all({ ...member, server: 'inactive' })), { kind: 'member' });
});

t.test('a server that was removed from the cluster joins it anew', async (t) => {
  t.same(decided('server-3', { ...all(member), 'server-3': { ...member, removed: true } }).kind, 'join');
});

t.test('no cluster is begun while a server cannot be asked, unless the user answers for it', async (t) => {
  const states = { 'server-1': empty, 'server-2': empty };
  const refused = decided('server-1', states);
  t.match(refused, {
    kind: 'refuse',
    id: 'split-brain',
    what: /whether server-3 has a cluster/,
    hint: /bring server-3 back/,
  });
  t.same(decided('server-1', states, true), { kind: 'init' });
  t.same(decided('server-1', { ...states, 'server-2': member }), {
    kind: 'join',
    via: 'server-2',
    clusterExists: true,
  });
});

t.test('members of two clusters are refused, and both are named', async (t) => {
  const states = { ...all(member), 'server-2': { ...member, ca: 'bbbb' } };
  t.match(decided('server-2', states), {
    kind: 'refuse',
    id: 'split-brain',
    what: /server-1, server-3/,
    evidence: /bbbb/,
  });
});

t.test('sqlite and external datastores are refused with the migration, agents with the way out', async (t) => {
  const sqlite = decided('server-1', { ...all(empty), 'server-1': { ...empty, datastore: 'sqlite' } });
  const id = 'k3s-datastore';
  t.match(sqlite, { kind: 'refuse', id, hint: /cluster-init: true.*Nothing was touched/, final: true });
  const external = decided('server-1', { ...all(empty), 'server-1': { ...empty, datastore: 'external' } });
  t.match(external, { kind: 'refuse', id, hint: /embedded etcd.*Nothing was touched/, final: true });
  const agent = decided('server-1', { ...all(empty), 'server-1': { ...empty, agent: 'active' } });
  t.match(agent, { kind: 'refuse', id: 'k3s-kind', hint: /drain it/ });
});

t.test(
  'beside a server with a cluster that cannot be joined none is begun, unless the user answers for it',
  async (t) => {
    for (const datastore of ['sqlite', 'external'] as const) {
      const states = { ...all(empty), 'server-3': { ...empty, datastore } };
      for (const self of ['server-1', 'server-2']) {
        t.match(decided(self, states), {
          kind: 'refuse',
          id: 'split-brain',
          what: /^server-3 keeps a cluster in (sqlite|an external datastore), /,
          hint: /^on server-3: migrate /,
        });
      }
      t.same(decided('server-1', states, true), { kind: 'init' });
      t.same(
        decided('server-1', { ...states, 'server-2': member }).kind,
        'join',
        'where there is one to join it is joined',
      );
    }
  },
);

t.test('every decision is a verdict that a stage can hold', async (t) => {
  const decisions: readonly Decision[] = [
    { kind: 'init' },
    { kind: 'member' },
    { kind: 'join', via: 'server-1', clusterExists: true },
    { kind: 'refuse', id: 'split-brain', evidence: 'e', what: 'w', hint: 't', final: true },
  ];
  for (const decision of decisions) {
    t.match(decisionVerdict(decision), {
      kind: 'verdict',
      verdict: decision.kind === 'refuse' ? 'refuse' : 'pass',
    });
  }
});

t.test('quorum arithmetic', async (t) => {
  t.same([1, 2, 3, 4, 5, 7].map(tolerance), [0, 0, 1, 1, 2, 3]);
  t.equal(quorumWords(3), '3 servers, quorum 2: the cluster survives the loss of 1');
  t.equal(quorumWords(1), '1 server, quorum 1: the cluster survives the loss of none');
});

/** What a server may have on its disk; the same CA for all, so that any cluster there is is one. */
const anyState: fc.Arbitrary<ServerState> = fc.record({
  datastore: fc.constantFrom('none', 'none', 'etcd', 'sqlite', 'external'),
  removed: fc.boolean(),
  ca: fc.constant('aaaa'),
  server: fc.constantFrom('absent', 'active', 'activating', 'inactive', 'failed'),
  agent: fc.constantFrom('absent', 'absent', 'active', 'inactive'),
  joins: fc.constant(undefined),
});

const holds = (state: ServerState | undefined): boolean =>
  state !== undefined && state.datastore !== 'none' && !(state.datastore === 'etcd' && state.removed);

t.test('property: at any moment at most one server may begin, and none where there is a cluster', async () => {
  fc.assert(
    fc.property(
      fc.array(anyState, { minLength: 1, maxLength: 7 }),
      fc.array(fc.boolean(), { minLength: 7, maxLength: 7 }),
      (states, up) => {
        const names = states.map((_, i) => `server-${i + 1}`);
        const begins = names.filter((self, i) => {
          // Each sees itself, and those that are up.
          const seen = new Map(
            names.flatMap((name, j) => (j === i || up[j] ? [[name, states[j] ?? empty] as const] : [])),
          );
          return decide({ self, servers: names, states: seen, trustAbsent: false }).kind === 'init';
        });
        return begins.length <= (states.some(holds) ? 0 : 1);
      },
    ),
    { numRuns: 2000 },
  );
});

t.test('property: runs in any order, cut anywhere, with servers away, bring about one cluster at most', async () => {
  const step = fc.record({ actor: fc.nat(4), away: fc.array(fc.nat(4)), cut: fc.boolean(), wiped: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const names = ['a', 'b', 'c', 'd', 'e'];
      const disks = new Map(names.map((name) => [name, empty]));
      let clusters = 0;
      for (const { actor, away, cut, wiped } of steps) {
        const self = names[actor] ?? 'a';
        // A disk is lost only while another server keeps the cluster, else there is nothing to be protected.
        const others = names.filter((name) => name !== self && holds(disks.get(name)));
        if (wiped && others.length > 0) disks.set(self, empty);
        const seen = new Map([...disks].filter(([name]) => name === self || !away.some((i) => names[i] === name)));
        const decision = decide({ self, servers: names, states: seen, trustAbsent: false });
        // A run that is cut before k3s has written its data leaves nothing; one cut later leaves a member.
        if (cut) continue;
        if (decision.kind === 'init') {
          clusters++;
          disks.set(self, { ...member, ca: `cluster-${clusters}` });
        } else if (decision.kind === 'join' && decision.clusterExists) {
          disks.set(self, { ...member, ca: disks.get(decision.via)?.ca });
        }
      }
      return clusters <= 1;
    }),
    { numRuns: 2000 },
  );
});
