/**
 * The published results: bench/results/published.json, from which the tables in README.md and docs/speed.md, the chart
 * and the page of all numbers are made. A row has the ratios of one bench. Ratios never mix benches.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../engine/errors.ts';
import { chart } from './chart.ts';
import { cellsOf } from './matrix.ts';
import { REPOSITORY } from './paths.ts';
import { fullReport, ratioTable, speedSection } from './report.ts';
import type { Cell, Results } from './results.ts';

const BEGIN = '<!-- bench: from here on written by `npm run bench -- --publish` -->';
const END = '<!-- bench: to here -->';

/** The published results. Benches are in the order they were run in; no cell is in two of them. */
const PUBLISHED = 'bench/results/published.json';

/**
 * Adds results to the published ones and writes all that is made of them. A cell that was measured again replaces the
 * earlier one.
 * @param files Results of `npm run bench`. None: everything is written from what is published already.
 */
export function publish(files: readonly string[], root = REPOSITORY): void {
  const published = JSON.parse(readFileSync(join(root, PUBLISHED), 'utf8')) as readonly Results[];
  const benches = withoutSuperseded([...published, ...files.map(read)]);
  const [first] = benches;
  if (!first) throw new UserError({ what: 'no results to publish' });
  const all: Results = {
    ...first,
    versions: Object.assign({}, ...benches.map(({ versions }) => versions)),
    cells: sorted(benches.flatMap(({ cells }) => cells)),
  };
  replaceSection(join(root, 'README.md'), ratioTable(all));
  replaceSection(join(root, 'docs/speed.md'), speedSection(benches, all));
  writeFileSync(join(root, 'docs/speed.svg'), chart(all));
  writeFileSync(join(root, PUBLISHED), jsonOf(benches));
  writeFileSync(join(root, 'bench/results/published.md'), benches.map(fullReport).join('\n'));
}

function read(file: string): Results {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Results;
  } catch (error) {
    throw new UserError({
      what: `no results in ${file}: ${error instanceof Error ? error.message : String(error)}`,
      expected: 'a JSON file that npm run bench wrote: .bench/results/NAME.json',
    });
  }
}

/** The results as JSON, a list of numbers on one line. */
export function jsonOf(results: unknown): string {
  const text = JSON.stringify(results, null, 2);
  return `${text.replaceAll(/\[[\s\d.,e-]+\]/g, (list) => list.replaceAll(/\s+/g, '').replaceAll(',', ', '))}\n`;
}

/** Benches without the cells that a later bench measured again, and without those that have no cell left. */
export function withoutSuperseded(benches: readonly Results[]): readonly Results[] {
  return benches
    .map((bench, i) => {
      const later = new Set(benches.slice(i + 1).flatMap(({ cells }) => cells.map(cellName)));
      return { ...bench, cells: bench.cells.filter((cell) => !later.has(cellName(cell))) };
    })
    .filter(({ cells }) => cells.length > 0);
}

const cellName = ({ workload, rttMs, rc }: Pick<Cell, 'workload' | 'rttMs' | 'rc'>): string =>
  `${workload} ${rttMs} ${rc}`;

/** The cells in the order of the matrix. */
function sorted(cells: readonly Cell[]): readonly Cell[] {
  const order = cellsOf({ quick: false, only: [], rtts: [], rcs: [] }).map(({ workload, rttMs, rc }) =>
    cellName({ workload: workload.id, rttMs, rc }),
  );
  return [...cells].sort((a, b) => order.indexOf(cellName(a)) - order.indexOf(cellName(b)));
}

/** Replaces what stands between the markers of a page. */
function replaceSection(page: string, text: string): void {
  const whole = readFileSync(page, 'utf8');
  const begin = whole.indexOf(BEGIN);
  const end = whole.indexOf(END);
  if (begin < 0 || end < begin) {
    throw new UserError({ what: `${page} has no markers for the bench`, expected: `${BEGIN}\n${END}` });
  }
  writeFileSync(page, `${whole.slice(0, begin)}${BEGIN}\n\n${text}\n\n${whole.slice(end)}`);
}
