/** Puts the tables and the chart of results where people read them, between markers. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../engine/errors.ts';
import { chart } from './chart.ts';
import { repository } from './places.ts';
import { ratioTable, speedSection } from './report.ts';
import type { Cell, Results } from './results.ts';
import { cellsOf } from './scenario.ts';

const BEGIN = '<!-- bench: from here on written by `npm run bench -- --publish` -->';
const END = '<!-- bench: to here -->';

/**
 * Writes README.md's table of ratios, docs/speed.md's section, and the chart, docs/speed.svg. Ratios stay within the bench they were
 * measured in.
 */
export function publish(results: readonly Results[]): void {
  const benches = withoutOutdated(results);
  const [first] = benches;
  if (!first) throw new UserError({ what: 'no results to publish' });
  const all: Results = {
    ...first,
    versions: Object.assign({}, ...benches.map(({ versions }) => versions)),
    cells: inOrder(benches.flatMap(({ cells }) => cells)),
  };
  between('README.md', ratioTable(all));
  between('docs/speed.md', speedSection(benches, all));
  writeFileSync(join(repository, 'docs/speed.svg'), chart(all));
}

/** What was measured again by a later bench is left out of the earlier ones; one that has nothing left, too. */
export function withoutOutdated(benches: readonly Results[]): readonly Results[] {
  return benches
    .map((bench, i) => {
      const later = new Set(benches.slice(i + 1).flatMap(({ cells }) => cells.map(cellName)));
      return { ...bench, cells: bench.cells.filter((cell) => !later.has(cellName(cell))) };
    })
    .filter(({ cells }) => cells.length > 0);
}

const cellName = ({ workload, rttMs, rc }: Pick<Cell, 'workload' | 'rttMs' | 'rc'>): string =>
  `${workload} ${rttMs} ${rc}`;

/** As one whole bench measures them, whichever was measured first. */
function inOrder(cells: readonly Cell[]): readonly Cell[] {
  const order = cellsOf({ quick: false, only: [], rtts: [], rcs: [] }).map(({ workload, rttMs, rc }) =>
    cellName({ workload: workload.id, rttMs, rc }),
  );
  return [...cells].sort((a, b) => order.indexOf(cellName(a)) - order.indexOf(cellName(b)));
}

function between(file: string, text: string): void {
  const path = join(repository, file);
  const whole = readFileSync(path, 'utf8');
  const begin = whole.indexOf(BEGIN);
  const end = whole.indexOf(END);
  if (begin < 0 || end < begin)
    throw new UserError({
      what: `${file} has no place for the bench`,
      hint: `put these lines in:\n${BEGIN}\n${END}`,
    });
  writeFileSync(path, `${whole.slice(0, begin)}${BEGIN}\n\n${text}\n\n${whole.slice(end)}`);
}
