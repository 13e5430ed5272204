/** What a run takes of many cases: always the ends, the same by the same seed, all where all are wanted. */
import fc from 'fast-check';
import t from 'tap';
import { endsAndSome } from '../support/choice.ts';

const lists = fc.uniqueArray(fc.nat(), { maxLength: 20 });

t.test('the first, the last and as many between as asked for, in order; by another seed others', async (t) => {
  fc.assert(
    fc.property(lists, fc.nat(3), fc.nat(), (items, more, seed) => {
      const taken = endsAndSome(items, more, { all: false, seed });
      t.equal(taken.length, Math.min(items.length, more + 2));
      t.same([taken[0], taken.at(-1)], [items[0], items.at(-1)]);
      t.same(
        taken,
        items.filter((item) => taken.includes(item)),
      );
      t.same(taken, endsAndSome(items, more, { all: false, seed }));
    }),
  );
  const items = Array.from({ length: 20 }, (_, index) => index);
  const choices = new Set(Array.from({ length: 50 }, (_, seed) => String(endsAndSome(items, 1, { all: false, seed }))));
  t.ok(choices.size > 10, `${choices.size} different choices of 50 seeds`);
});

t.test('all of them where all are wanted', async (t) => {
  t.same(endsAndSome([1, 2, 3, 4, 5, 6], 1, { all: true }), [1, 2, 3, 4, 5, 6]);
});
