/** How every command of ours ends: what the user can mend as a message, what they can't as a bug, an exit code either way. */
import { ExitCode, formatProblem, UserError } from '../errors.ts';
import { mask } from '../secret.ts';

/** Runs a command's body and sets the process's exit code to what it returns, or to what its error says. */
export async function main(body: () => Promise<ExitCode>): Promise<void> {
  const stalled = (): void => {
    process.stderr.write(
      'a bug in Heartwood; please report it: nothing was left to wait for before the work was done\n',
    );
    process.exitCode = ExitCode.bug;
  };
  process.once('exit', stalled);
  // An output that nobody reads any more (`| head`) is no reason to break off in the middle of something.
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
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`a bug in Heartwood; please report it with these lines:\n${mask(stack)}\n`);
    process.exitCode = ExitCode.bug;
  } finally {
    process.off('exit', stalled);
  }
}

/**
 * Does what a command line asks for. Where that is a report and something is wrong, even with the command line itself, the
 * program that reads our stdout is told there too; main() tells people.
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
