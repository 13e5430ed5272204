/** Reports for machines, made from events. `output.test.ts` has those of whole runs. */
import t from 'tap';
import { jsonReport, junitReport, problemReport } from '../../engine/cli/reports.ts';
import { UserError } from '../../engine/errors.ts';
import type { RunEvent, RunEventBody } from '../../engine/events.ts';
import { Secret } from '../../engine/secret.ts';
import { runStarted } from '../support/events.ts';

const at = (body: RunEventBody): RunEvent => ({ ...body, time: '2026-01-01T00:00:00.000Z' });

t.test('a lock whose health check failed is in both reports', async (t) => {
  const events = [runStarted(), { type: 'health-check-failed', lock: 'etcd', host: 'node-1' } as const].map(at);
  t.match(JSON.parse(jsonReport(events)), { healthChecksFailed: [{ lock: 'etcd', host: 'node-1' }] });
  t.match(
    junitReport(events),
    '<testcase classname="locks" name="node-1: etcd" time="0"><failure message="the health check of lock etcd failed">',
  );
});

t.test('a JSON report has every list, also an empty one', async (t) => {
  const keys = Object.keys(JSON.parse(jsonReport([at(runStarted())])));
  const own = ['run', 'playbook', 'mode', 'started', 'startUp', 'interrupted'];
  const lists = ['tasks', 'verdicts', 'unreachable', 'failed', 'healthChecksFailed', 'warnings', 'connected', 'phases'];
  t.strictSame(keys, [...own, ...lists]);
});

t.test('of problems the text is masked, and not the names of hosts and files', async (t) => {
  new Secret('raspberry');
  const problem = { what: 'not raspberry', host: 'raspberry-1', at: { file: '/raspberry/hosts', line: 1, column: 2 } };
  const error = new UserError(problem);
  t.match(JSON.parse(problemReport('json', error)), { exitCode: 1, problems: [{ ...problem, what: 'not ***' }] });
  t.match(problemReport('junit', error), 'name="/raspberry/hosts:1:2"');
});
