import t from 'tap';
import { play, playProblems } from '../../../engine/play.ts';
import { batches } from '../../../engine/run/plan/batches.ts';
import { isSelected, mayBeSelected } from '../../../engine/run/plan/tags.ts';

t.test('tags select as in Ansible', async (t) => {
  const table: readonly [tags: string[], wanted: string[], skipped: string[], selected: boolean][] = [
    [['a'], [], [], true],
    [['a'], ['a'], [], true],
    [['a'], ['b'], [], false],
    [['a', 'b'], ['b'], ['a'], false],
    [['never', 'a'], [], [], false],
    [['never', 'a'], ['a'], [], true],
    [['never', 'a'], ['tagged'], [], false],
    [['never', 'a'], ['all'], [], false],
    [['always', 'a'], ['b'], [], true],
    [['always', 'a'], [], ['always'], false],
    [['always', 'a'], [], ['a'], false],
    [['a'], ['all'], [], true],
    [['a'], [], ['all'], false],
    [['always'], [], ['all'], true],
    [[], ['untagged'], [], true],
    [['a'], ['untagged'], [], false],
    [['a'], ['tagged'], [], true],
    [['a'], [], ['tagged'], false],
  ];
  for (const [tags, wanted, skipTags, selected] of table) {
    t.equal(isSelected(tags, { tags: wanted, skipTags }), selected, JSON.stringify({ tags, wanted, skipTags }));
  }
});

t.test('a role none of whose tags is asked for is passed by', async (t) => {
  t.equal(mayBeSelected(['firewall'], ['rules'], { tags: ['longhorn'], skipTags: [] }), false);
  t.equal(mayBeSelected(['firewall'], ['rules'], { tags: ['rules'], skipTags: [] }), true);
});

t.test('serial cuts hosts into batches: numbers, percentages, lists', async (t) => {
  const hosts = [1, 2, 3, 4, 5];
  t.strictSame(batches(hosts, undefined), [[1, 2, 3, 4, 5]]);
  t.strictSame(batches(hosts, 2), [[1, 2], [3, 4], [5]]);
  t.strictSame(batches(hosts, '40%'), [[1, 2], [3, 4], [5]]);
  t.strictSame(batches(hosts, '1%'), [[1], [2], [3], [4], [5]]);
  t.strictSame(batches(hosts, [1, '60%']), [[1], [2, 3, 4], [5]]);
  t.strictSame(batches(hosts, 0), [[1, 2, 3, 4, 5]]);
  t.strictSame(batches([], 2), []);
});

t.test('keywords of a play that are no numbers are refused at the line of the play', async (t) => {
  for (const [keyword, value, expected] of [
    ['serial', 'abc', /percentage/],
    ['serial', [1, -1], /percentage/],
    ['serial', [], /percentage/],
    ['throttle', 0, /1 or more/],
    ['maxFailPercentage', 'x', /0 to 100/],
  ] as const) {
    const declaration = { name: 'A play', hosts: 'all', roles: [], [keyword]: value };
    // What TypeScript refuses, and a playbook run by tsx may hold all the same.
    t.match(playProblems(play(declaration as unknown as Parameters<typeof play>[0])), [
      { what: new RegExp(`play "A play": ${keyword} is`), at: { file: /plan\.test/ }, expected },
    ]);
  }
  t.strictSame(playProblems(play({ name: 'A play', hosts: 'all', roles: [], serial: [1, '50%'], throttle: 2 })), []);
});
