/** Puts the tables and the chart of results where people read them, between markers. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../engine/errors.ts';
import { chart } from './chart.ts';
import { repository } from './places.ts';
import { ratioTable, speedSection } from './report.ts';
import type { Results } from './results.ts';

const BEGIN = '<!-- bench: from here on written by `npm run bench -- --publish` -->';
const END = '<!-- bench: to here -->';

/** Writes README.md's table of ratios, docs/speed.md's section, and the chart, docs/speed.svg. */
export function publish(results: Results): void {
  between('README.md', ratioTable(results));
  between('docs/speed.md', speedSection(results));
  writeFileSync(join(repository, 'docs/speed.svg'), chart(results));
}

function between(file: string, text: string): void {
  const path = join(repository, file);
  const whole = readFileSync(path, 'utf8');
  const begin = whole.indexOf(BEGIN);
  const end = whole.indexOf(END);
  if (begin < 0 || end < begin)
    throw new UserError({
      what: `${file} has no place for the bench`,
      tryThis: `put these lines in:\n${BEGIN}\n${END}`,
    });
  writeFileSync(path, `${whole.slice(0, begin)}${BEGIN}\n\n${text}\n\n${whole.slice(end)}`);
}
