/**
 * Heartwood measured beside the tools people use today: `npm run bench`, `npm run bench -- --help`. See docs/speed.md.
 */
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { main } from '../engine/cli/main.ts';
import { commaList, helpText, type OptionTable, parseCommandLine } from '../engine/cli/options.ts';
import { didYouMean, ExitCode, UserError } from '../engine/errors.ts';
import { chart } from './chart.ts';
import { removeLabs } from './hosts.ts';
import { cellsOf } from './matrix.ts';
import { benchPath } from './paths.ts';
import { jsonOf, publish } from './publish.ts';
import { fullReport, ratioTable } from './report.ts';
import type { Results } from './results.ts';
import { runBench } from './run.ts';
import { installTools, TITLES, TOOL_IDS } from './tools.ts';
import { WORKLOAD_IDS } from './workloads.ts';

const OPTIONS = {
  quick: { kind: 'flag', help: 'minutes instead of hours: fewer cells, and slow tools run once' },
  only: { kind: 'list', value: 'WORKLOADS', help: `of ${WORKLOAD_IDS.join(', ')}; default: all` },
  tools: { kind: 'list', value: 'TOOLS', help: `beside Heartwood: of ${TOOL_IDS.slice(1).join(', ')}; default: all` },
  runs: { kind: 'number', value: 'N', help: 'timed runs of each tool in each cell (default 5; 3 with --quick)' },
  rtt: {
    kind: 'list',
    value: 'MS',
    help: 'round-trip times: of 0, 20, 50; default: those of the workload; with --only, any',
  },
  rc: {
    kind: 'list',
    value: 'RC',
    help: 'login rc files: of light, heavy; default: those of the workload; with --only, any',
  },
  python: { kind: 'text', value: 'PATH', help: 'for the other tools; default: the newest on the PATH' },
  publish: {
    kind: 'flag',
    help: 'measure nothing; add the results in FILE... to the published ones, and write README.md, docs/ and bench/results/',
  },
  help: { kind: 'flag', short: 'h', help: 'show this' },
} as const satisfies OptionTable;

/** The words of a list option. @throws UserError on one that is not allowed. */
function chosen<T extends string>(option: string, words: readonly string[], allowed: readonly T[]): readonly T[] {
  return commaList(words).map((word) => {
    const found = allowed.find((name) => name === word);
    if (found !== undefined) return found;
    const near = didYouMean(word, allowed);
    throw new UserError(
      {
        what: `--${option}: unknown value "${word}"`,
        expected: allowed.join(', '),
        hint: near && `did you mean "${near}"?`,
      },
      ExitCode.usage,
    );
  });
}

/** Writes the results so far. They are published by `--publish`. */
function save(results: Results): void {
  const name = benchPath('results', results.started.slice(0, 16).replace(/[:T]/g, '-'));
  writeFileSync(`${name}.json`, jsonOf(results));
  writeFileSync(`${name}.md`, fullReport(results));
  writeFileSync(`${name}.svg`, chart(results));
  console.error(`written: ${relative('.', name)}.json, .md, .svg`);
}

await main(async () => {
  const { values, words } = parseCommandLine(process.argv.slice(2), OPTIONS);
  if (values.help) {
    const about =
      'Measures Heartwood, ansible-core, Mitogen, pyinfra and a hand-made script over ssh: the same hosts, the same work, in turn.\n' +
      'Boots hosts of its own (npm run lab), so it needs root. Writes .bench/results/.';
    console.log(helpText('npm run bench -- [options]\n       npm run bench -- --publish [FILE...]', about, OPTIONS));
    return ExitCode.ok;
  }
  if (values.publish) {
    publish(words);
    return ExitCode.ok;
  }
  if (words.length > 0) {
    throw new UserError(
      { what: `unexpected argument "${words[0]}"`, hint: 'files of results go with --publish' },
      ExitCode.usage,
    );
  }
  const say = (line: string) => console.error(line);
  const named = chosen('tools', values.tools, TOOL_IDS);
  const ids = TOOL_IDS.filter((id) => id === 'heartwood' || named.length === 0 || named.includes(id));
  const cells = cellsOf({
    quick: values.quick,
    only: chosen('only', values.only, WORKLOAD_IDS),
    rtts: chosen('rtt', values.rtt, ['0', '20', '50']).map(Number),
    rcs: chosen('rc', values.rc, ['light', 'heavy'] as const),
  });
  if (cells.length === 0) {
    const hint = 'name the workload with --only too';
    throw new UserError({ what: 'no workload is measured under these conditions', hint }, ExitCode.usage);
  }
  const tools = await installTools(ids, values.python, say);
  for (const { title, version } of tools) say(`${title}: ${version}`);
  const interruption = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => reject(new UserError({ what: 'stopped' }, ExitCode.interrupted)));
    }
  });
  const options = { quick: values.quick, runs: values.runs ?? (values.quick ? 3 : 5), say, save };
  const results = await Promise.race([runBench(tools, cells, options), interruption]).finally(removeLabs);
  console.log(`${fullReport(results)}\n\nHow many times as long as ${TITLES.heartwood}:\n\n${ratioTable(results)}`);
  return ExitCode.ok;
});
