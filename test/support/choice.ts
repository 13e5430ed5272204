/**
 * What a run of the tests takes of many cases: `npm run test:all` takes every one, any other run some at random. The run prints
 * its seed, and `npm test -- --seed NUMBER` takes the same ones again.
 */
import fc from 'fast-check';

/** Whether this is `npm run test:all`. */
export const TEST_ALL = process.env['HEARTWOOD_TEST_ALL'] === '1';

/** The seed of this run. */
export const SEED = Number(process.env['HEARTWOOD_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

/** The first of these, the last, and `more` between them; all of them in `npm run test:all`. */
export function endsAndSome<T>(items: readonly T[], more: number, { all = TEST_ALL, seed = SEED } = {}): readonly T[] {
  if (all || items.length <= more + 2) return items;
  const between = fc.shuffledSubarray([...items.keys()].slice(1, -1), { minLength: more, maxLength: more });
  const [chosen = []] = fc.sample(between, { seed, numRuns: 1 });
  const indices = new Set([0, ...chosen, items.length - 1]);
  return items.filter((_, index) => indices.has(index));
}
