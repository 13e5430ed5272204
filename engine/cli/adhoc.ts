/** One command on many hosts, as `ansible PATTERN -a COMMAND` does it: nothing is looked at before or after. */
import { setMaxListeners } from 'node:events';
import { ExitCode, UserError } from '../errors.ts';
import { LinkError, type Session, type StepResult } from '../remote/session.ts';
import { Script, sh } from '../script.ts';
import { mask } from '../secret.ts';
import { listenForInterrupts } from './interrupt.ts';
import { CONNECTION_OPTIONS, helpText, type OptionTable, parseCommandLine } from './options.ts';
import { printable } from './printable.ts';
import { setUp } from './setup.ts';

/** Seconds a command may take unless told. */
const COMMAND_TIMEOUT = 3600;

/** The options of `scripts/run.ts`. */
export const COMMAND_OPTIONS = {
  ...CONNECTION_OPTIONS,
  'command-timeout': { kind: 'number', value: 'SECONDS', help: 'stop the command after this long (default 3600)' },
} as const satisfies OptionTable;

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
  const [{ default: pLimit }, { sessionOpener }] = await Promise.all([
    import('p-limit'),
    import('../remote/open-session.ts'),
  ]);
  const { inventory, connect, forks } = await setUp(values);
  const limited = values.limit === undefined ? inventory.hosts : inventory.select(values.limit);
  const hosts = inventory.select(pattern).filter((host) => limited.includes(host));
  if (hosts.length === 0)
    throw new UserError({ what: `${pattern} matches no host`, expected: 'a host, a group, or a pattern of them' });

  const script = command.length === 1 ? Script.raw(command[0] ?? '') : sh`${command}`;
  const limit = pLimit(forks);
  const open = sessionOpener();
  const sessions = new Set<Session>();
  const connecting = new AbortController();
  setMaxListeners(0, connecting.signal);
  const interruption = listenForInterrupts();
  interruption.onRequest(() => {
    process.stderr.write('stopping the command on every host\n');
    connecting.abort();
    for (const session of sessions) void session.interrupt('now');
  });
  const outcomes = await Promise.all(
    hosts.map((host) =>
      limit(async () => {
        if (interruption.requested) return ExitCode.interrupted;
        let session: Session | undefined;
        try {
          session = await open(connect(host, values.become), connecting.signal);
          sessions.add(session);
          const [result] = await session.run([
            { id: 'run', script, timeout: values['command-timeout'] ?? COMMAND_TIMEOUT },
          ]);
          process.stdout.write(result ? resultText(host.name, result) : '');
          return result?.outcome === 'ran' && result.exitCode === 0 ? ExitCode.ok : ExitCode.failed;
        } catch (error) {
          if (!(error instanceof LinkError)) throw error;
          const { what, hint } = error.problem;
          process.stdout.write(`${host.name} | unreachable: ${mask(what)}\n${hint ? `  try: ${hint}\n` : ''}`);
          return ExitCode.unreachable;
        } finally {
          await session?.close();
        }
      }),
    ),
  );
  interruption.stop();
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
