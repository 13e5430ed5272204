/** A playbook as a command: its options, what it prints, its exit code. */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { ExitCode, UserError } from '../errors.ts';
import type { EventStream } from '../event-stream.ts';
import type { RunEvent } from '../events.ts';
import { type Play, type Playbook, playProblems } from '../play.ts';
import { main, reported } from './main.ts';
import { commaList, helpText, type OptionValues, PLAYBOOK_OPTIONS, parseCommandLine } from './options.ts';

/** Where runs are recorded, below the current folder. */
const STATE_DIRECTORY = '.heartwood';

type PlaybookValues = OptionValues<typeof PLAYBOOK_OPTIONS>;

/**
 * A playbook as a command: reads the command line, runs the plays and sets the exit code.
 * @param isCompiled Does this run from the playbook's compiled file?
 */
export async function playbookCommand(isCompiled: boolean, title: string, plays: readonly Play[]): Promise<void> {
  const argv = process.argv.slice(2);
  const body = async (): Promise<ExitCode> => {
    const { values, words } = parseCommandLine(argv, PLAYBOOK_OPTIONS);
    if (typeof title !== 'string' || !Array.isArray(plays) || plays.some((play) => !(play instanceof Object))) {
      const expected = "a title and a list of plays: playbook('Title', [play({ ... })])";
      throw new UserError({ what: 'playbook() is called with wrong arguments', expected });
    }
    if (values.help) {
      const problems = plays.flatMap(playProblems);
      if (problems.length > 0) throw new UserError(problems);
      console.log(helpText(`${ownCommand()} -i INVENTORY [options]`, about(title, plays), PLAYBOOK_OPTIONS));
      return ExitCode.ok;
    }
    if (values.version) {
      console.log(version());
      return ExitCode.ok;
    }
    if (words.length > 0) {
      const what = `${words.join(' ')}: a playbook takes only options`;
      throw new UserError({ what, hint: '--limit PATTERN selects hosts; --help lists the options' }, ExitCode.usage);
    }
    return runPlaybook({ title, plays }, values, argv, isCompiled);
  };
  await main(() => reported(argv, body));
}

/** This command as one types it in the current folder. */
function ownCommand(): string {
  const file = process.argv[1] ?? 'playbooks/PLAYBOOK.ts';
  const near = relative('.', file);
  return `npx tsx ${near.startsWith('..') ? file : near}`;
}

function about(title: string, plays: readonly Play[]): string {
  return [
    `${title}:`,
    ...plays.map(({ name, hosts, roles }) => `  ${name} (${hosts}): ${roles.map(({ role }) => role.name).join(', ')}`),
  ].join('\n');
}

/** Heartwood's version, from its package.json. */
export function version(): string {
  const file = new URL('../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return version;
}

/**
 * Runs a playbook with a parsed command line. Modules are loaded when they are needed: `--list-hosts` needs few of
 * them.
 * @throws UserError where the inventory, its variables or the plays are wrong; no host is touched then.
 */
export async function runPlaybook(
  book: Playbook,
  values: PlaybookValues,
  argv: readonly string[],
  isCompiled = false,
): Promise<ExitCode> {
  const start = Math.round(performance.now());
  const [{ setUp }, { selectPlays }, { resolverFor }] = await Promise.all([
    import('./setup.ts'),
    import('../run/plan/select-plays.ts'),
    import('../vars/resolve.ts'),
  ]);
  const setup = await setUp(values);
  const { inventory } = setup;
  const tags = { tags: commaList(values.tags), skipTags: commaList(values['skip-tags']) };
  const resolveVars = resolverFor(book.plays, inventory);
  const startUp = { start, inventory: Math.round(performance.now()) - start, compiled: isCompiled };
  const plays = selectPlays({ playbook: book, inventory, limit: values.limit, tags });

  if (values['list-hosts'] || values['list-tags'] || values['list-tasks']) {
    const { listHosts, listTags, listTasks } = await import('./list.ts');
    if (values['list-hosts']) console.log(listHosts(plays));
    if (values['list-tags']) console.log(listTags(plays));
    if (values['list-tasks']) console.log(await listTasks(plays, tags, inventory, resolveVars));
    return ExitCode.ok;
  }

  const [{ run }, { EventStream }, { sessionOpener }, { lockRequest }, { Journal, newRunId }, { listenForInterrupts }] =
    await Promise.all([
      import('../run/run.ts'),
      import('../event-stream.ts'),
      import('../remote/open-session.ts'),
      import('../remote/host-lock.ts'),
      import('../run/report/journal.ts'),
      import('./interrupt.ts'),
    ]);
  const runId = newRunId(new Date());
  const events = new EventStream();
  const journal = new Journal(STATE_DIRECTORY, runId, (problem) => events.emit({ type: 'warning', problem }));
  events.subscribe(journal.listener);
  const kept: RunEvent[] = [];
  if (values.profile || values.output !== undefined) events.subscribe((event) => kept.push(event));
  const format = values.output ?? 'text';
  if (format === 'text') await showOn(events, values, journal.path);
  const interruption = listenForInterrupts();
  try {
    const { exitCode } = await run({
      playbook: book,
      inventory,
      limit: values.limit,
      tags,
      check: values.check,
      diff: values.diff,
      forks: setup.forks,
      prefetch: !values['no-prefetch'],
      showScripts: values['show-scripts'],
      resolveVars,
      connect: setup.connect,
      open: sessionOpener(),
      events,
      lock: lockRequest(runId),
      argv,
      version: version(),
      startUp,
      interruption,
    });
    if (format !== 'text') {
      const { jsonReport, junitReport } = await import('./reports.ts');
      console.log(format === 'json' ? jsonReport(kept) : junitReport(kept));
    }
    if (values.profile) {
      const { profileText } = await import('./profile.ts');
      (format === 'text' ? console.log : console.error)(profileText(kept));
    }
    return exitCode;
  } finally {
    interruption.stop();
    journal.close();
  }
}

async function showOn(events: EventStream, values: PlaybookValues, journal: string): Promise<void> {
  const { View } = await import('./view.ts');
  const { stdout } = process;
  const color = process.env['NO_COLOR'] === undefined && stdout.isTTY === true;
  events.subscribe(new View(stdout, { verbosity: values.verbose, diff: values.diff, color, journal }).listener);
}
