/** The bench itself: the same tasks for every tool, and what it makes of numbers. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import type { Access } from '../../bench/access.ts';
import { chart } from '../../bench/chart.ts';
import { goalResults } from '../../bench/goals.ts';
import { iniInventory, largeIni, largeInventory } from '../../bench/inventory.ts';
import type { Job } from '../../bench/job.ts';
import { cellsOf } from '../../bench/matrix.ts';
import { counted, timed } from '../../bench/measure.ts';
import { publish, withoutSuperseded } from '../../bench/publish.ts';
import { ansibleRenderer } from '../../bench/render/ansible.ts';
import { heartwoodTasks } from '../../bench/render/heartwood.ts';
import { pyinfraRenderer } from '../../bench/render/pyinfra.ts';
import { shellScript } from '../../bench/render/shell.ts';
import { fullReport, ratioTable, speedSection } from '../../bench/report.ts';
import { type Cell, formatRatio, median, type Results } from '../../bench/results.ts';
import { expectedState } from '../../bench/state.ts';
import { mixedTasks, titleOf } from '../../bench/tasks.ts';
import { TOOL_IDS } from '../../bench/tools.ts';
import { WORKLOAD_IDS } from '../../bench/workloads.ts';
import { loadInventory } from '../../engine/inventory/load.ts';
import { REPOSITORY } from '../support/program.ts';

const access: Access = {
  targets: [{ name: 'bench-1', address: '192.0.2.1', port: 2222 }],
  user: 'root',
  key: '/keys/bench',
  knownHosts: '/keys/known_hosts',
};

const work = mixedTasks();
const job: Job = { kind: 'mixed', tasks: work };

/** Two tools at one workload: Heartwood in 100 ms, the script in 40, Ansible in 3 s. */
const results: Results = {
  started: '2026-01-01T00:00:00.000Z',
  finished: '2026-01-01T00:01:00.000Z',
  quick: true,
  machine: { processor: 'some', cores: 2, memory: 2 ** 33, kernel: '6.1', node: 'v20', load: [0.5, 5] },
  versions: { heartwood: '1', ssh: '2', ansible: '3' },
  startUp: { nodeMs: [10], tsxMs: [30] },
  cells: [
    {
      workload: 'nothing',
      rttMs: 0,
      rc: 'light',
      scriptMs: 20,
      tools: [
        { tool: 'heartwood', wallMs: [100, 90, 400], cpuMs: [50, 50, 50], hostCpuMs: [9, 9, 9] },
        { tool: 'ssh', wallMs: [40], cpuMs: [5], hostCpuMs: [9] },
        { tool: 'ansible', wallMs: [3000], cpuMs: [2000], hostCpuMs: [900] },
      ],
    },
  ],
};

function inFolder<T>(body: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'heartwood-bench-'));
  try {
    return body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

t.test('every tool is given the same sixty tasks, in order', async (t) => {
  t.equal(work.length, 60);
  t.equal(new Set(work.map(titleOf)).size, 60, 'no two are the same');
  t.equal(expectedState(work).split('\n').length, 60, 'each leaves something to look at');
  const titles = work.map(titleOf);
  t.same(
    heartwoodTasks(work).map(({ name }) => name),
    titles,
  );
  inFolder((folder) => {
    ansibleRenderer({ bin: '/peer/bin', pipelining: false })(job, access, folder);
    const [play] = parse(readFileSync(join(folder, 'playbook.yml'), 'utf8')) as [{ tasks: { name: string }[] }];
    t.same(
      play.tasks.map(({ name }) => name),
      titles,
    );
    pyinfraRenderer('/peer/bin')(job, access, folder);
    const deploy = readFileSync(join(folder, 'deploy.py'), 'utf8');
    t.same(
      [...deploy.matchAll(/name="([^"]*)"/g)].map(([, name]) => name),
      titles,
    );
  });
  const script = shellScript(work);
  for (const line of expectedState(work).split('\n')) {
    const word = line.split(' ')[line.startsWith('/') ? 0 : 1] ?? '';
    t.ok(script.includes(word), `the script speaks of ${word}`);
  }
});

t.test('the inventory says the same to Heartwood as to ssh', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'heartwood-bench-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'hosts'), iniInventory(access));
  const { hosts } = await loadInventory({ sources: [join(folder, 'hosts')] });
  t.equal(hosts[0]?.name, 'bench-1');
  t.equal(hosts[0]?.var('ansible_port'), 2222);
  writeFileSync(join(folder, 'large'), largeIni(largeInventory(1000)));
  const large = await loadInventory({ sources: [join(folder, 'large')] });
  t.equal(large.select('bench').length, 1000);
  t.equal(large.hosts.at(-1)?.var('rack'), 40);
});

t.test('a run is timed with all its processes, and ends with what it left in the background', async (t) => {
  const busy = 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done';
  const run = await timed({ argv: ['sh', '-c', `sh -c '${busy}'; (sleep 60 &); echo said; exit 3`], cwd: '/' });
  t.equal(run.exitCode, 3);
  t.match(run.output, /said/);
  t.ok(run.cpuMs > 20, 'a child counts');
  t.ok(run.wallMs < 50_000, 'nothing waits for the background');
  const { counts } = await counted({ argv: ['sh', '-c', '/bin/true; /bin/true; sleep 0.3'], cwd: '/' });
  t.ok(counts.peakMemory > 100_000, 'memory was seen');
  if (counts.processes !== undefined) t.ok(counts.processes >= 3 && counts.processes <= 4);
});

t.test('goals are judged by medians, and a miss is told', async (t) => {
  t.equal(median([3, 1, 2]), 2);
  t.equal(median([4, 1, 2, 3]), 2.5);
  const found = goalResults(results);
  t.match(
    found.find(({ goal }) => goal.includes('ansible')),
    { found: '30.0 times', met: true },
  );
  const slow = {
    ...results,
    cells: results.cells.map((cell) => ({
      ...cell,
      tools: cell.tools.map((tool) => (tool.tool === 'heartwood' ? { ...tool, wallMs: [500] } : tool)),
    })),
  };
  t.same(
    goalResults(slow).map(({ met }) => met),
    [false, false],
  );
  t.match(fullReport(slow), /\*\*no\*\*/);
});

t.test('reports show where a peer wins, and that the machine was busy', async (t) => {
  t.same(
    [0.44, 0.966, 1, 1.04, 1.2, 30.4].map(formatRatio),
    ['0.4x', '0.97x', '1.0x', '1.04x', '1.2x', '30x'],
    'also by a hair',
  );
  t.match(ratioTable(results), /\| 60 tasks, nothing to change, 0 ms \| 0.4x \| 30x \|/);
  t.match(fullReport(results), /busy with other things/);
  t.match(fullReport(results), /Physical floor: 6 round trips of 0 ms and the script's own 20 ms: 20 ms/);
  const svg = chart(results);
  t.match(svg, /30x/);
  t.match(svg, /ssh sh &lt; script/, 'names are escaped');
});

t.test('no label of the chart is cut off', async (t) => {
  const [cell] = results.cells;
  const cells = cell ? WORKLOAD_IDS.map((workload): Cell => ({ ...cell, workload })) : [];
  const svg = chart({ ...results, cells, versions: Object.fromEntries(TOOL_IDS.map((id) => [id, '1'])) });
  const width = Number(/viewBox="0 0 (\d+) /.exec(svg)?.[1]);
  const labels = [...svg.matchAll(/<text x="([\d.]+)" .* text-anchor="(\w+)" font-size="(\d+)".*>(.*)<\/text>/g)];
  t.ok(labels.length > 30);
  for (const [, x, anchor, size, label = ''] of labels) {
    // DejaVu Sans, the widest of the usual fonts, takes 0.58 of its size for each letter of these titles.
    const length = 0.58 * Number(size) * label.replaceAll('&lt;', '<').length;
    const left = Number(x) - length * (anchor === 'end' ? 1 : anchor === 'middle' ? 0.5 : 0);
    if (left < 0 || left + length > width) t.fail(`cut off: ${label}`);
  }
});

t.test('what is published is one set, and the pages are made of it', async (t) => {
  const folder = t.testdir({ docs: {}, bench: { results: {} } });
  const pages = [
    'README.md',
    'docs/speed.md',
    'docs/speed.svg',
    'bench/results/published.json',
    'bench/results/published.md',
  ];
  const read = (root: string, page: string) => readFileSync(join(root, page), 'utf8');
  for (const page of pages) cpSync(join(REPOSITORY, page), join(folder, page));
  publish([], folder);
  for (const page of pages) t.equal(read(folder, page), read(REPOSITORY, page), `${page}: npm run bench -- --publish`);
  t.strictSame(readdirSync(join(REPOSITORY, 'bench/results')), ['published.json', 'published.md']);

  const [cell] = results.cells;
  const nothing = cell && { ...cell, rttMs: 50, tools: cell.tools.map((tool) => ({ ...tool, wallMs: [1000] })) };
  writeFileSync(join(folder, 'new.json'), JSON.stringify({ ...results, cells: [nothing] }));
  publish([join(folder, 'new.json')], folder);
  const row = '| 60 tasks, nothing to change, 50 ms |';
  for (const page of ['README.md', 'docs/speed.md']) {
    const rows = read(folder, page)
      .split('\n')
      .filter((line) => line.startsWith(row));
    t.strictSame(rows, [`${row} 1.0x | 1.0x |  |  |  |`], page);
  }
  t.equal(read(folder, 'bench/results/published.json').match(/"2026-01-01T00:00:00.000Z"/g)?.length, 1);
  t.throws(() => publish([join(folder, 'README.md')], folder), {
    message: /README\.md: .*\n {2}allowed: a JSON file that/,
  });
});

t.test('what a later bench measured again replaces what an earlier one had', async (t) => {
  const [cell] = results.cells;
  t.ok(cell);
  if (!cell) return;
  const [earlier, later] = withoutSuperseded([
    { ...results, cells: [cell, { ...cell, rttMs: 50 }] },
    { ...results, cells: [{ ...cell, tools: [] }] },
  ]);
  t.same(
    earlier?.cells.map(({ rttMs }) => rttMs),
    [50],
  );
  t.same(later?.cells, [{ ...cell, tools: [] }]);
  t.equal(withoutSuperseded([results, { ...results }]).length, 1, 'one that has nothing left is left out');

  const all = { ...results, cells: [cell, { ...cell, rttMs: 50 }] };
  const section = speedSection([results, { ...all, cells: all.cells.slice(1), started: '2030-01-02T03:04:05Z' }], all);
  t.match(section, /\| 60 tasks, nothing to change, 50 ms \|/);
  t.match(section, /\| 2030-01-02 03:04 \| .* \| nothing, 50 ms \| \d/);
  t.equal(section.match(/^- Machine/gm)?.length, 1);
});

t.test('a quick bench measures less, and what is named is measured', async (t) => {
  const all = { quick: false, only: [], rtts: [], rcs: [] } as const;
  t.ok(cellsOf({ ...all, quick: true }).length < cellsOf(all).length);
  t.same(
    cellsOf({ ...all, quick: true, only: ['connect'] }).map(({ workload }) => workload.id),
    ['connect'],
  );
  t.same([...new Set(cellsOf({ ...all, rtts: [20] }).map(({ rttMs }) => rttMs))], [20]);
  t.same([...new Set(cellsOf({ ...all, rcs: ['heavy'] }).map(({ rc }) => rc))], ['heavy']);
  const places = (asked: Partial<Parameters<typeof cellsOf>[0]>) =>
    cellsOf({ ...all, ...asked }).map(({ workload, rttMs, rc }) => `${workload.id} ${rttMs} ${rc}`);
  t.same(places({ only: ['connect'], rtts: [50], rcs: ['heavy'] }), ['connect 50 heavy'], 'what is named is measured');
  t.same(places({ only: ['inventory'], rtts: [50] }), [], 'but where there is no host');
});
