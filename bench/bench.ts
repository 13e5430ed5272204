/** Heartwood measured beside the tools people use today: `npm run bench`, `npm run bench -- --help`. See docs/speed.md. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { main } from '../engine/cli/main.ts';
import { commaList, helpText, type OptionTable, parseCommandLine } from '../engine/cli/options.ts';
import { didYouMean, ExitCode, UserError } from '../engine/errors.ts';
import { chart } from './chart.ts';
import { removeLabs } from './hosts.ts';
import { TITLES, TOOL_IDS, tools } from './peers.ts';
import { repository } from './places.ts';
import { publish } from './publish.ts';
import { fullReport, ratioTable } from './report.ts';
import type { Results } from './results.ts';
import { runBench } from './run.ts';
import { cellsOf } from './scenario.ts';
import { WORKLOAD_IDS } from './workloads.ts';

const OPTIONS = {
  quick: { kind: 'flag', help: 'some minutes instead of some hours: fewer cells, and slow tools run once' },
  only: { kind: 'list', value: 'WORKLOADS', help: `of ${WORKLOAD_IDS.join(', ')}` },
  peers: { kind: 'list', value: 'TOOLS', help: `beside Heartwood: of ${TOOL_IDS.slice(1).join(', ')}; default: all` },
  runs: { kind: 'number', value: 'N', help: 'timed runs of each tool in each cell (default 5; 3 with --quick)' },
  rtt: {
    kind: 'list',
    value: 'MS',
    help: 'distances: of 0, 20, 50; default: all that are planned for the workload; with --only, any',
  },
  rc: {
    kind: 'list',
    value: 'RC',
    help: 'login rc files: of light, heavy; default: those that are planned for the workload; with --only, any',
  },
  python: { kind: 'text', value: 'PATH', help: 'for the peers; default: the newest that has a name on the PATH' },
  publish: {
    kind: 'list',
    value: 'RESULTS.json',
    help: 'measure nothing; put the tables and the chart of these results into README.md and docs/; may be repeated',
  },
  help: { kind: 'flag', short: 'h', help: 'show this' },
} as const satisfies OptionTable;

/** The words of a list option, each of them allowed. */
function chosen<T extends string>(option: string, words: readonly string[], allowed: readonly T[]): readonly T[] {
  return commaList(words).map((word) => {
    const found = allowed.find((name) => name === word);
    if (found !== undefined) return found;
    const near = didYouMean(word, allowed);
    throw new UserError(
      {
        what: `--${option} ${word}: no such thing`,
        expected: allowed.join(', '),
        ...(near ? { hint: `did you mean ${near}?` } : {}),
      },
      ExitCode.usage,
    );
  });
}

await main(async () => {
  const { values } = parseCommandLine(process.argv.slice(2), OPTIONS);
  if (values.help) {
    const about =
      'Measures Heartwood, ansible-core, Mitogen, pyinfra and a hand-made script over ssh: the same hosts, the same work, in turn.\n' +
      'Boots hosts of its own (npm run lab), so it needs root. Writes bench/results/.';
    console.log(helpText('npm run bench -- [options]', about, OPTIONS));
    return ExitCode.ok;
  }
  if (values.publish.length > 0) {
    publish(values.publish.map((file) => JSON.parse(readFileSync(file, 'utf8')) as Results));
    return ExitCode.ok;
  }
  const say = (line: string) => console.error(line);
  const peers = chosen('peers', values.peers, TOOL_IDS);
  const wanted = TOOL_IDS.filter((id) => id === 'heartwood' || peers.length === 0 || peers.includes(id));
  const cells = cellsOf({
    quick: values.quick,
    only: chosen('only', values.only, WORKLOAD_IDS),
    rtts: chosen('rtt', values.rtt, ['0', '20', '50']).map(Number),
    rcs: chosen('rc', values.rc, ['light', 'heavy'] as const),
  });
  if (cells.length === 0) throw new UserError({ what: 'none of these workloads is measured there' }, ExitCode.usage);
  const ready = await tools(wanted, values.python, say);
  for (const { title, version } of ready) say(`${title}: ${version}`);
  const interruption = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => reject(new UserError({ what: 'stopped' }, ExitCode.interrupted)));
    }
  });
  const directory = join(repository, 'bench/results');
  mkdirSync(directory, { recursive: true });
  const save = (results: Results) => {
    const name = join(directory, results.started.slice(0, 16).replace(/[:T]/g, '-'));
    writeFileSync(`${name}.json`, `${JSON.stringify(results, null, 2)}\n`);
    writeFileSync(`${name}.md`, fullReport(results));
    writeFileSync(`${name}.svg`, chart(results));
    say(`written: ${relative('.', name)}.json, .md, .svg`);
  };
  const options = { quick: values.quick, runs: values.runs ?? (values.quick ? 3 : 5), say, save };
  const results = await Promise.race([runBench(ready, cells, options), interruption]).finally(removeLabs);
  console.log(`${fullReport(results)}\n\nHow many times as long as ${TITLES.heartwood}:\n\n${ratioTable(results)}`);
  return ExitCode.ok;
});
