/** Results as a picture: how many times as long as Heartwood each tool took, a bar a tool, on a logarithmic scale. */
import { TITLES, TOOL_IDS, type ToolId } from './peers.ts';
import { type Results, ratio, resultOf, times } from './results.ts';
import { workloads } from './workloads.ts';

const COLORS: Readonly<Record<ToolId, string>> = {
  heartwood: '#2f7d4f',
  ssh: '#8a8f98',
  ansible: '#b23b3b',
  'ansible-pipelining': '#d9776a',
  mitogen: '#c98a2b',
  pyinfra: '#3f6fb5',
};

const WIDTH = 860;
const LEFT = 260;
const RIGHT = 70;
const BAR = 13;
const GAP = 16;

/** An SVG, readable on light and dark pages. */
export function chart(results: Results): string {
  const titles = new Map(workloads().map(({ id, title }) => [id, title]));
  const tools = TOOL_IDS.filter((id) => results.versions[id] !== undefined);
  const cells = results.cells.map((cell) => ({
    title: titles.get(cell.workload) ?? cell.workload,
    place: `${cell.rttMs} ms${cell.rc === 'heavy' ? ', heavy login rc' : ''}`,
    bars: tools.flatMap((id) => {
      const value = ratio(resultOf(cell, 'heartwood'), resultOf(cell, id));
      return value === undefined ? [] : [{ id, value }];
    }),
  }));
  const values = cells.flatMap(({ bars }) => bars.map(({ value }) => value));
  // Shorter than one, where a peer wins, must have a length too.
  const low = 10 ** Math.floor(Math.log10(Math.min(1, ...values)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(10, ...values)));
  const x = (value: number) => LEFT + ((WIDTH - LEFT - RIGHT) * Math.log10(value / low)) / Math.log10(high / low);

  const marks: string[] = [];
  let y = 62;
  const top = y;
  for (const { title, place, bars } of cells) {
    const middle = y + (bars.length * BAR) / 2;
    marks.push(text(LEFT - 12, middle - 2, title, 'end', 12), text(LEFT - 12, middle + 12, place, 'end', 11, '#777'));
    for (const { id, value } of bars) {
      const width = Math.max(1, x(value) - x(low));
      marks.push(
        `<rect x="${x(low).toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${BAR - 2}" fill="${COLORS[id]}"/>`,
        text(x(value) + 4, y + BAR - 3, times(value), 'start', 10),
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
    at += 34 + TITLES[id].length * 6.2;
    return entry;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" font-family="sans-serif" role="img">`,
    '<title>How many times as long as Heartwood each tool takes (logarithmic; less is better)</title>',
    '<rect width="100%" height="100%" fill="#fff"/>',
    ...legend,
    ...grid,
    ...marks,
    '</svg>',
    '',
  ].join('\n');
}

function text(x: number, y: number, words: string, anchor: string, size: number, color = '#222'): string {
  const escaped = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" font-size="${size}" fill="${color}">${escaped}</text>`;
}
