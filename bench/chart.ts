/** Results as a chart: how many times as long as Heartwood each tool took, one bar per tool, on a logarithmic scale. */

import { formatRatio, type Results, ratio, resultOf } from './results.ts';
import { TITLES, TOOL_IDS, type ToolId } from './tools.ts';
import { workloads } from './workloads.ts';

const COLORS: Readonly<Record<ToolId, string>> = {
  heartwood: '#2f7d4f',
  ssh: '#8a8f98',
  ansible: '#b23b3b',
  'ansible-pipelining': '#d9776a',
  mitogen: '#c98a2b',
  pyinfra: '#3f6fb5',
};

/** Room for the bars. */
const PLOT_WIDTH = 530;
/** Room for the value of the longest bar. */
const RIGHT = 70;
const TITLE_SIZE = 12;
/**
 * The room that a letter may take, in parts of the font size: no common sans-serif font needs more for a line of text.
 */
const LETTER_WIDTH = 0.6;
const BAR = 13;
const GAP = 16;

/** The chart as SVG, on a white ground. */
export function chart(results: Results): string {
  const titles = new Map(workloads().map(({ id, title }) => [id, title]));
  const tools = TOOL_IDS.filter((id) => results.versions[id] !== undefined);
  const cells = results.cells.map((cell) => ({
    title: titles.get(cell.workload) ?? cell.workload,
    conditions: `${cell.rttMs} ms${cell.rc === 'heavy' ? ', heavy login rc' : ''}`,
    bars: tools.flatMap((id) => {
      const value = ratio(resultOf(cell, 'heartwood'), resultOf(cell, id));
      return value === undefined ? [] : [{ id, value }];
    }),
  }));
  const left = 24 + Math.max(...cells.map(({ title }) => textWidth(title, TITLE_SIZE)));
  const width = left + PLOT_WIDTH + RIGHT;
  const values = cells.flatMap(({ bars }) => bars.map(({ value }) => value));
  // Where another tool is faster its ratio is below 1, and its bar has a length all the same.
  const low = 10 ** Math.floor(Math.log10(Math.min(1, ...values)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(10, ...values)));
  const x = (value: number) => left + (PLOT_WIDTH * Math.log10(value / low)) / Math.log10(high / low);

  const marks: string[] = [];
  let y = 62;
  const top = y;
  for (const { title, conditions, bars } of cells) {
    const middle = y + (bars.length * BAR) / 2;
    marks.push(
      text(left - 12, middle - 2, title, 'end', TITLE_SIZE),
      text(left - 12, middle + 12, conditions, 'end', 11, '#777'),
    );
    for (const { id, value } of bars) {
      const length = Math.max(1, x(value) - x(low));
      marks.push(
        `<rect x="${x(low).toFixed(1)}" y="${y}" width="${length.toFixed(1)}" height="${BAR - 2}" fill="${COLORS[id]}"/>`,
        text(x(value) + 4, y + BAR - 3, formatRatio(value), 'start', 10),
      );
      y += BAR;
    }
    y += GAP;
  }
  const grid: string[] = [];
  for (let tick = low; tick <= high * 1.001; tick *= 10) {
    const at = x(tick).toFixed(1);
    const color = Math.abs(tick - 1) < 1e-9 ? '#2f7d4f' : '#ccc';
    grid.push(
      `<line x1="${at}" x2="${at}" y1="${top - 6}" y2="${y - GAP + 4}" stroke="${color}" stroke-width="1"/>`,
      text(x(tick), top - 10, `${Number(tick.toPrecision(1))}x`, 'middle', 10, '#777'),
    );
  }
  let at = 12;
  const legend = tools.map((id) => {
    const entry = `<rect x="${at}" y="14" width="11" height="11" fill="${COLORS[id]}"/>${text(at + 16, 24, TITLES[id], 'start', 11)}`;
    at += 34 + Math.round(textWidth(TITLES[id], 11));
    return entry;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" font-family="sans-serif" role="img">`,
    '<title>How many times as long as Heartwood each tool takes (logarithmic; less is better)</title>',
    '<style>text { paint-order: stroke; stroke: #fff; stroke-width: 3px; }</style>',
    '<rect width="100%" height="100%" fill="#fff"/>',
    ...legend,
    ...grid,
    ...marks,
    '</svg>',
    '',
  ].join('\n');
}

/** An upper bound of a text's width, in pixels. */
function textWidth(words: string, size: number): number {
  return Math.ceil(words.length * size * LETTER_WIDTH);
}

/** A text with a white edge, so that lines behind it do not cross its letters. */
function text(x: number, y: number, words: string, anchor: string, size: number, color = '#222'): string {
  const escaped = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" font-size="${size}" fill="${color}">${escaped}</text>`;
}
