/** How every command ends: an error of the user's is a message, any other is a bug, and each has its exit code. */
import { ExitCode, formatProblem, UserError } from '../errors.ts';
import { mask } from '../secret.ts';

/** Runs a command's body and sets the process's exit code to what it returns, or to its error's. */
export async function main(body: () => Promise<ExitCode>): Promise<void> {
  const stalled = (): void => {
    process.stderr.write(
      'a bug in Heartwood; please report it: nothing was left to wait for before the work was done\n',
    );
    process.exitCode = ExitCode.bug;
  };
  process.once('exit', stalled);
  let isBroken = false;
  const onRejection = (reason: unknown): void => {
    const isFirst = !isBroken;
    isBroken = true;
    process.stderr.write(
      `a promise failed that nothing waits for, of a role's or Heartwood's own:\n${stackOf(reason)}\n`,
    );
    // A run that listens ends as after Ctrl-C, with its record and its recap.
    if (isFirst && process.listenerCount('SIGTERM') > 0) process.kill(process.pid, 'SIGTERM');
  };
  process.on('unhandledRejection', onRejection);
  // An output that nobody reads any more (`| head`) must not break off a change.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  try {
    process.exitCode = await body();
  } catch (error) {
    if (error instanceof UserError) {
      const { maskProblem } = await import('../event-masking.ts');
      process.stderr.write(`${error.problems.map((problem) => formatProblem(maskProblem(problem))).join('\n')}\n`);
      process.exitCode = error.exitCode;
      return;
    }
    process.stderr.write(`a bug in Heartwood; please report it with these lines:\n${stackOf(error)}\n`);
    process.exitCode = ExitCode.bug;
  } finally {
    if (isBroken) process.exitCode = ExitCode.bug;
    process.off('unhandledRejection', onRejection);
    process.off('exit', stalled);
  }
}

/** An error with its stack, masked. */
function stackOf(error: unknown): string {
  return mask(error instanceof Error ? (error.stack ?? error.message) : String(error));
}

/**
 * Runs a command's body. Where `--output` asks for a report and something is wrong, even with the command line itself,
 * the report on stdout says so, for the program that reads it. People read it on stderr, from {@link main}.
 */
export async function reported(argv: readonly string[], body: () => Promise<ExitCode>): Promise<ExitCode> {
  try {
    return await body();
  } catch (error) {
    const format = argv.map((word, i) => (word === '--output' ? argv[i + 1] : /^--output=(.*)$/.exec(word)?.[1]));
    const asked = format.findLast((word) => word === 'json' || word === 'junit');
    if (asked !== undefined) {
      const { problemReport } = await import('./reports.ts');
      const bug = { what: `a bug in Heartwood: ${error instanceof Error ? error.message : String(error)}` };
      const known = error instanceof UserError ? error : new UserError(bug, ExitCode.bug);
      console.log(problemReport(asked === 'junit' ? 'junit' : 'json', known));
    }
    throw error;
  }
}
