/** The record of a run: where it ends, and where it cannot be written. */
import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import type { Problem } from '../../../engine/errors.ts';
import { Journal } from '../../../engine/run/report/journal.ts';

t.test(
  'a disk that fills up ends the record with a warning, and not the run',
  { skip: !existsSync('/dev/full') },
  async (t) => {
    const problems: Problem[] = [];
    const journal = new Journal(
      t.testdir({ runs: { full: { 'events.jsonl': t.fixture('symlink', '/dev/full') } } }),
      'full',
      (problem) => problems.push(problem),
    );
    const event = { time: '', type: 'checks-started', hosts: [] } as const;
    journal.listener(event);
    journal.listener(event);
    journal.close();
    t.equal(problems.length, 1, 'said once');
    t.match(problems, [{ what: /events\.jsonl ends here: ENOSPC/ }]);
  },
);

t.test('run-finished is the last line, whatever is reported after it', async (t) => {
  const journal = new Journal(t.testdir(), 'x', () => t.fail('nothing is broken'));
  const event = { time: '', type: 'checks-started', hosts: [] } as const;
  journal.listener(event);
  journal.listener({ time: '', type: 'run-finished', ms: 1, recap: [], exitCode: 0, problems: [] });
  journal.listener(event);
  journal.close();
  journal.listener(event);
  const types = readFileSync(journal.path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).type);
  t.strictSame(types, ['checks-started', 'run-finished']);
});

t.test('a record that was closed is not opened again', async (t) => {
  const journal = new Journal(t.testdir(), 'x', () => {});
  journal.close();
  journal.listener({ time: '', type: 'checks-started', hosts: [] });
  t.notOk(existsSync(journal.path));
});
