/** The record of a run, where it cannot be written. */
import { existsSync } from 'node:fs';
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
