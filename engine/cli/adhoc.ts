/** One command on many hosts, as `ansible PATTERN -a COMMAND` does it: nothing is probed before or after. */
import { setMaxListeners } from 'node:events';
import { ExitCode, formatProblem, type Problem, UserError } from '../errors.ts';
import type { InventoryHost } from '../inventory/inventory.ts';
import { type Connection, LinkError, LockError, type Session, type StepResult } from '../remote/session.ts';
import { Script, sh } from '../script.ts';
import { mask } from '../secret.ts';
import { listenForInterrupts } from './interrupt.ts';
import { CONNECTION_OPTIONS, helpText, type OptionTable, type OptionValues, parseCommandLine } from './options.ts';
import { printable } from './printable.ts';
import { setUp } from './setup.ts';

/** The default of `--command-timeout`, in seconds. */
const COMMAND_TIMEOUT = 3600;

/** The options of `scripts/run.ts`. */
export const COMMAND_OPTIONS = {
  ...CONNECTION_OPTIONS,
  'command-timeout': { kind: 'number', value: 'SECONDS', help: 'stop the command after this long (default 3600)' },
  'no-lock': {
    kind: 'flag',
    help: 'run the command also where another run holds the host; for commands that only read',
  },
} as const satisfies OptionTable;

type CommandValues = OptionValues<typeof COMMAND_OPTIONS>;

/** Runs `PATTERN [options] -- COMMAND ...`; prints each host's output as its command ends. */
export async function runCommand(argv: readonly string[]): Promise<ExitCode> {
  const { values, words } = parseCommandLine(argv, COMMAND_OPTIONS);
  const [pattern, ...command] = words;
  if (values.help) {
    const about =
      'Runs one command on every host of the pattern. One word is shell text; several are a command and its arguments.';
    console.log(
      helpText('npx tsx scripts/run.ts PATTERN -i INVENTORY [options] -- COMMAND ...', about, COMMAND_OPTIONS),
    );
    return ExitCode.ok;
  }
  if (pattern === undefined || command.length === 0) {
    const what = pattern === undefined ? 'no hosts and no command' : `no command: "${pattern}" is taken for the hosts`;
    throw new UserError({ what, hint: 'npx tsx scripts/run.ts all -i hosts -- uptime' }, ExitCode.usage);
  }
  const { inventory, connect, forks } = await setUp(values);
  const limited = values.limit === undefined ? inventory.hosts : inventory.select(values.limit);
  const hosts = inventory.select(pattern).filter((host) => limited.includes(host));
  if (hosts.length === 0) {
    throw new UserError({ what: `${pattern} matches no host`, expected: 'a host, a group, or a pattern of them' });
  }
  const connections = connectionsOf(hosts, (host) => connect(host, values.become));
  const script = command.length === 1 ? Script.raw(command[0] ?? '') : sh`${command}`;
  return runEverywhere(connections, script, forks, values);
}

/**
 * The connections of all hosts, before any of them is opened.
 * @throws UserError with the problems of every host: none was touched.
 */
function connectionsOf(
  hosts: readonly InventoryHost[],
  connect: (host: InventoryHost) => Connection,
): readonly Connection[] {
  const problems: Problem[] = [];
  const connections = hosts.flatMap((host) => {
    try {
      return connect(host);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      problems.push(...error.problems);
      return [];
    }
  });
  if (problems.length > 0) throw new UserError(distinct(problems));
  return connections;
}

/** One line of the inventory may be wrong for many hosts: each problem once. */
function distinct(problems: readonly Problem[]): readonly Problem[] {
  return [...new Map(problems.map((problem) => [JSON.stringify(problem), problem])).values()];
}

async function runEverywhere(
  connections: readonly Connection[],
  script: Script,
  forks: number,
  values: CommandValues,
): Promise<ExitCode> {
  const [{ default: pLimit }, { EventStream }, { sessionOpener }, { lockRequest }, { newRunId }, { Machines }] =
    await Promise.all([
      import('p-limit'),
      import('../event-stream.ts'),
      import('../remote/open-session.ts'),
      import('../remote/host-lock.ts'),
      import('../run/report/journal.ts'),
      import('../run/sessions/machines.ts'),
    ]);
  const lock = values['no-lock'] ? undefined : lockRequest(newRunId(new Date()));
  const limit = pLimit(forks);
  const open = sessionOpener();
  const events = new EventStream();
  events.subscribe((event) => {
    if (event.type === 'warning') process.stderr.write(`warning: ${formatProblem(event.problem)}\n`);
  });
  const machines = new Machines(events);
  const timeout = values['command-timeout'] ?? COMMAND_TIMEOUT;
  const sessions = new Set<Session>();
  const connecting = new AbortController();
  setMaxListeners(0, connecting.signal);
  const interruption = listenForInterrupts();
  interruption.onRequest(() => {
    process.stderr.write('stopping the command on every host\n');
    connecting.abort();
    for (const session of sessions) void session.interrupt('now');
  });

  const runOn = async (connection: Connection): Promise<ExitCode> => {
    if (interruption.requested) return ExitCode.interrupted;
    let opened: Session | undefined;
    try {
      const session = await open(connection, connecting.signal);
      opened = session;
      sessions.add(session);
      machines.add(connection.name, session);
      if (lock) session.lock(lock);
      return await machines.exclusively(session, async () => {
        if (interruption.requested) return ExitCode.interrupted;
        const [result] = await session.run([{ id: 'run', title: 'the command', script, timeout }]);
        process.stdout.write(result ? resultText(connection.name, result) : '');
        return result?.outcome === 'ran' && result.exitCode === 0 ? ExitCode.ok : ExitCode.failed;
      });
    } catch (error) {
      if (!(error instanceof LinkError || error instanceof LockError)) throw error;
      const { what, hint } = error.problem;
      const status = error instanceof LinkError ? 'unreachable' : 'locked';
      process.stdout.write(`${connection.name} | ${status}: ${mask(what)}\n${hint ? `  try: ${hint}\n` : ''}`);
      return ExitCode.unreachable;
    } finally {
      await opened?.close();
    }
  };

  // An unexpected error on one host is thrown when all the others are done.
  const settled = await Promise.allSettled(connections.map((connection) => limit(runOn, connection)));
  interruption.stop();
  const outcomes = settled.map((end) => {
    if (end.status === 'rejected') throw end.reason;
    return end.value;
  });
  if (interruption.requested) return ExitCode.interrupted;
  if (outcomes.includes(ExitCode.failed)) return ExitCode.failed;
  return outcomes.includes(ExitCode.unreachable) ? ExitCode.unreachable : ExitCode.ok;
}

function resultText(host: string, { outcome, exitCode, stdout, stderr, truncated }: StepResult): string {
  const endings = { 'timed out': 'timed out, and was stopped', interrupted: 'stopped by you', skipped: 'not run' };
  const ended = outcome === 'ran' ? `exit code ${exitCode}` : endings[outcome];
  const how = truncated ? `${ended}; so much output that its middle is left out` : ended;
  const output = [stdout, stderr]
    .map((stream) => printable(mask(stream.toString())).trimEnd())
    .filter((text) => text !== '');
  return [`${host} | ${how}`, ...output.flatMap((text) => text.split('\n').map((line) => `  ${line}`)), ''].join('\n');
}
