/** Merged changes, and probes between changes: nothing differs but the programs it takes. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { play } from '../../../engine/play.ts';
import type { Resource } from '../../../engine/resource.ts';
import { command } from '../../../engine/resources/command.ts';
import { file } from '../../../engine/resources/file.ts';
import { sh } from '../../../engine/script.ts';
import { Secret } from '../../../engine/secret.ts';
import { task } from '../../../engine/task.ts';
import { roleOf, statuses, type Tasks, World } from '../../support/world.ts';

const worldOf = (t: { testdir(): string }) => new World(t.testdir(), ['node-1']);

const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i + 1);

/** Programs on the PATH of the hosts' shells that note in a log that they were started, and with how many arguments. */
function noted(world: World, programs: readonly string[], also = ''): { started(): readonly string[]; end(): void } {
  const bin = join(world.root, 'bin');
  const log = join(world.root, 'started');
  mkdirSync(bin, { recursive: true });
  for (const program of programs) {
    writeFileSync(join(bin, program), `#!/bin/sh\necho ${program} >> ${log}\n${also}\nexec /usr/bin/${program} "$@"\n`);
    chmodSync(join(bin, program), 0o755);
  }
  const path = process.env['PATH'];
  process.env['PATH'] = `${bin}:${path}`;
  return {
    started: () => {
      const lines = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
      rmSync(log, { force: true });
      return lines;
    },
    end: () => {
      process.env['PATH'] = path;
    },
  };
}

const all = (tasks: Tasks, handlers?: Parameters<typeof roleOf>[1]) => [
  play({ name: 'All', hosts: 'all', roles: [roleOf(tasks, handlers)()] }),
];

t.test('changes that follow one another are merged where they can be', async (t) => {
  const world = worldOf(t);
  const log = world.path('node-1', 'log');
  const install = (words: readonly string[]) =>
    sh`cd ${world.path('node-1')} || exit; for w in ${words}; do [ "$w" != bad ] || { echo no bad >&2; exit 1; }; : > "$w"; done; echo ${words.join(' ')} >> ${log}`;
  const thing = (name: string): Resource => ({
    kind: 'thing',
    id: name,
    probe: sh`if [ -e ${world.path('node-1', name)} ]; then echo there=yes; else echo there=no; fi`,
    wanted: { there: 'yes' },
    change: () => install([name]),
    mergeable: () => ({ key: 'install', part: name, change: install }),
    noUndo: 'a test',
  });
  const names = ['a', 'b', 'there', 'c', 'd', 'told', 'told too', 'e'];
  writeFileSync(world.path('node-1', 'there'), '');
  const plays = (things: readonly string[]) =>
    all(
      () => things.map((name) => task(name, thing(name), name.startsWith('told') ? { notify: 'tell' } : {})),
      () => ({ tell: task('Tell', command(sh`true`)) }),
    );
  const { events } = await world.run(plays(names));
  t.strictSame(
    readFileSync(log, 'utf8').trim().split('\n'),
    ['a b', 'c d', 'told told too', 'e'],
    'those that notify the same are one again',
  );
  t.strictSame(
    statuses(events).slice(0, names.length),
    names.map((name) => `${name}: ${name === 'there' ? 'ok' : 'changed'}`),
  );
  rmSync(log);
  const failed = await world.run(plays(['f', 'bad', 'g']));
  t.strictSame(statuses(failed.events), ['f: changed', 'bad: failed', 'g: not run'], 'each for itself then');
  t.match(
    failed.events.find((event) => event.type === 'task-finished' && event.status === 'failed'),
    { task: { name: 'bad' }, failure: { stderr: /no bad/ } },
  );
});

t.test('files that follow one another are written with few programs, and each ends as it is to be', async (t) => {
  const world = worldOf(t);
  const at = (n: number) => world.path('node-1', `it's ${n}`);
  const modes = ['0644', '0640', '0755'];
  const tasks: Tasks = () =>
    numbers(9).map((n) =>
      task(
        `${n}`,
        file({ path: at(n), content: n === 4 ? new Secret(`secret ${n}`) : `content\n${n}`, mode: modes[n % 3] ?? '' }),
        {
          notify: 'tell',
        },
      ),
    );
  const tell = () => ({ tell: task('Tell', command(sh`echo told >> ${world.path('node-1', 'log')}`)) });
  writeFileSync(at(2), 'something else');
  writeFileSync(`${world.path('node-1')}/.it's 3.hw-new`, 'left by a run that was cut');
  const programs = noted(world, ['sync', 'chmod', 'mv', 'stat', 'sha256sum']);
  t.teardown(programs.end);

  const { events, exitCode } = await world.run(all(tasks, tell));
  t.equal(exitCode, 0);
  t.strictSame(
    statuses(events).slice(0, 9),
    numbers(9).map((n) => `${n}: changed`),
  );
  for (const n of numbers(9)) {
    t.match(readFileSync(at(n), 'utf8'), n === 4 ? 'secret 4' : `content\n${n}`);
    t.equal(statSync(at(n)).mode & 0o7777, Number.parseInt(modes[n % 3] ?? '', 8));
  }
  t.equal(world.read('node-1', 'log'), 'told\n', 'a handler they all notify runs once');
  t.notOk(readdirSync(world.path('node-1')).some((name) => name.includes('.hw-new')));
  const started = programs.started();
  const count = (program: string) => started.filter((name) => name === program).length;
  t.strictSame(
    { sync: count('sync'), chmod: count('chmod'), mv: count('mv') },
    { sync: 1, chmod: 3, mv: 9 },
    'one sync, a chmod for each mode',
  );
  // Of the check: the one file that was there. Of the change: the first one by itself, the rest at once.
  t.ok(count('stat') <= 4 && count('sha256sum') <= 4, `shared: ${started.join(' ')}`);
  t.match((await world.run(all(tasks, tell))).events.at(-1), { type: 'run-finished' });
  t.notOk(programs.started().includes('mv'), 'nothing to do the second time');
});

t.test(
  'where one of them cannot be written, those before it are, it says why, and nothing is left behind',
  async (t) => {
    const world = worldOf(t);
    const at = (name: string) => world.path('node-1', name);
    const tasks: Tasks = () =>
      ['one', 'two', 'nowhere/three', 'four'].map((name) => task(name, file({ path: at(name), content: name })));
    const { events } = await world.run(all(tasks));
    t.strictSame(statuses(events), ['one: changed', 'two: changed', 'nowhere/three: failed', 'four: not run']);
    t.match(
      events.find((event) => event.type === 'task-finished' && event.status === 'failed'),
      { failure: { what: /the directory .*nowhere is not there/ } },
    );
    t.strictSame(readdirSync(world.path('node-1')).sort(), ['one', 'two']);
  },
);

t.test('cut before any program of it, each file is the old one or the new one, and the next run ends it', async (t) => {
  const tasks = (world: World): Tasks => {
    return () => numbers(3).map((n) => task(`${n}`, file({ path: world.path('node-1', `${n}`), content: `new ${n}` })));
  };
  for (const cut of numbers(6)) {
    const world = new World(join(t.testdir({}), `cut-${cut}`), ['node-1']);
    for (const n of numbers(3)) writeFileSync(world.path('node-1', `${n}`), `old ${n}`);
    // The session's shell dies with the program, and all it started: the host loses its power.
    const counter = join(world.root, 'count');
    const die = `[ -e ${join(world.root, 'over')} ] || { echo >> ${counter}; [ "$(wc -l < ${counter})" -lt ${cut} ] || read -r pid name state parent group rest < /proc/self/stat; kill -9 -$group; }`;
    const programs = noted(world, ['sync', 'chmod', 'mv', 'rm'], die);
    const first = await world.run(all(tasks(world))).finally(programs.end);
    t.ok(cut > 5 || first.events.some(({ type }) => type === 'host-unreachable'), `cut ${cut}`);
    for (const n of numbers(3)) t.match(world.read('node-1', `${n}`), new RegExp(`^(old|new) ${n}$`));
    writeFileSync(join(world.root, 'over'), '');
    const second = await world.run(all(tasks(world)));
    t.equal(second.exitCode, 0, `cut ${cut}, after ${statuses(first.events).join(', ')}`);
    t.strictSame(readdirSync(world.path('node-1')).sort(), ['1', '2', '3']);
    for (const n of numbers(3)) t.equal(world.read('node-1', `${n}`), `new ${n}`);
  }
});

t.test('after each change the probes of later tasks share their programs again', async (t) => {
  const world = worldOf(t);
  const at = (n: number) => world.path('node-1', `${n}`);
  for (const n of numbers(12)) writeFileSync(at(n), `${n}`);
  for (const n of [2, 7]) writeFileSync(at(n), 'spoilt');
  const tasks: Tasks = () => numbers(12).map((n) => task(`${n}`, file({ path: at(n), content: `${n}` })));
  const programs = noted(world, ['stat', 'sha256sum']);
  t.teardown(programs.end);
  const { events } = await world.run(all(tasks));
  t.strictSame(
    statuses(events).filter((line) => !line.endsWith(': ok')),
    ['2: changed', '7: changed'],
  );
  // One of each in the check; then each spoilt one before and behind its change; then one for 3 to 6 and one for 8 to
  // 12.
  const count = programs.started().filter((name) => name === 'stat').length;
  t.equal(count, 1 + 2 * 2 + 2);
});

t.test('a merged change is reported, though the run ends before it is probed', async (t) => {
  const world = worldOf(t);
  const at = (name: string) => world.path('node-1', name);
  const make = (names: readonly string[]) => sh`for w in ${names}; do : > "$w"; done`;
  const thing = (name: string): Resource => ({
    kind: 'thing',
    id: name,
    // The first one never looks right.
    probe: sh`if [ -e ${at(name)} ] && [ ${name} != a ]; then echo there=yes; else echo there=no; fi`,
    wanted: { there: 'yes' },
    change: () => make([at(name)]),
    mergeable: () => ({ key: 'make', part: at(name), change: make }),
    noUndo: 'a test',
  });
  const tasks: Tasks = () => [
    ...['a', 'b', 'c'].map((name) => task(name, thing(name))),
    task('behind', file({ path: at('behind'), content: '' })),
  ];
  const { events } = await world.run(all(tasks));
  t.strictSame(statuses(events), ['a: failed', 'b: changed', 'c: changed', 'behind: not run']);
});

t.test('changes that fail merged and work alone are made alone', async (t) => {
  const world = worldOf(t);
  const at = (name: string) => world.path('node-1', name);
  const thing = (name: string): Resource => ({
    kind: 'thing',
    id: name,
    probe: sh`if [ -e ${at(name)} ]; then echo there=yes; else echo there=no; fi`,
    wanted: { there: 'yes' },
    change: () => sh`: > ${at(name)}; echo alone ${name} >> ${at('log')}`,
    mergeable: () => ({ key: 'make', part: name, change: () => sh`echo 'not together' >&2; exit 1` }),
    noUndo: 'a test',
    explain: ({ stderr }) => (stderr.includes('not together') ? { what: 'the wrong reason' } : undefined),
  });
  const tasks: Tasks = () => ['a', 'b'].map((name) => task(name, thing(name)));
  const { events, exitCode } = await world.run(all(tasks));
  t.equal(exitCode, 0);
  t.strictSame(statuses(events), ['a: changed', 'b: changed']);
  t.equal(world.read('node-1', 'log'), 'alone a\nalone b\n');
});

t.test('what an earlier change altered is seen, foreseen or not', async (t) => {
  const world = worldOf(t);
  const at = (name: string) => world.path('node-1', name);
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  for (const name of names) writeFileSync(at(name), name);
  const tasks: Tasks = () => [
    // Its check finds it to be done; it spoils what was found to be as it is to be.
    task('spoil', command(sh`echo spoilt > ${at('b')}; rm ${at('e')}; : > ${at('done')}`, { creates: at('done') })),
    ...['a', 'b', 'c'].map((name) => task(name, file({ path: at(name), content: name }))),
    // Its check finds nothing to do, for `b` is there; the change of `b` takes that away, and this one spoils `d` in
    // its turn.
    task(
      'spoil more',
      command(sh`echo spoilt > ${at('d')}; rm ${at('f')}; : > ${at('more')}`, {
        unless: sh`[ -e ${at('more')} ] || [ ! -e ${at('done')} ]`,
      }),
    ),
    ...['d', 'e', 'f'].map((name) => task(name, file({ path: at(name), content: name }))),
  ];
  for (const prefetch of [true, false]) {
    for (const name of names) writeFileSync(at(name), name);
    for (const name of ['done', 'more']) rmSync(at(name), { force: true });
    const { events } = await world.run(all(tasks), { prefetch });
    t.strictSame(statuses(events), [
      'spoil: changed',
      'a: ok',
      'b: changed',
      'c: ok',
      'spoil more: changed',
      'd: changed',
      'e: changed',
      'f: changed',
    ]);
    for (const name of names) t.equal(world.read('node-1', name), name);
  }
});
