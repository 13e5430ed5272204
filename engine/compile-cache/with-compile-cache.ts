/**
 * The door of the compile cache. Node loads TypeScript module by module, which takes most of the time of a run with
 * nothing to do. So a playbook is compiled after a run into one file, and later runs use that file as long as no source
 * of it has changed. docs/architecture.md says what this saves.
 */
import { existsSync, realpathSync } from 'node:fs';
import { ExitCode } from '../errors.ts';
import { currentRecord } from './cache-record.ts';

/** What `playbook(title, plays)` does. */
type RunPlaybook<A extends unknown[]> = (isCompiled: boolean, ...args: A) => Promise<void>;

/** Options that print something and run nothing: that loads less than a compiled playbook has. */
const WITHOUT_RUN = ['--help', '-h', '--version'];

/** Ends after which a playbook is compiled. After Ctrl-C, a wrong command line and a bug it is not. */
const COMPILED_AFTER: readonly unknown[] = [ExitCode.ok, ExitCode.error, ExitCode.failed, ExitCode.unreachable];

/**
 * Gives a playbook's `run` the compile cache. Called while the engine's index is evaluated, before the modules that
 * import it: where there is a current compiled file of the playbook that Node was started with, that file is run
 * instead, and this does not return. Otherwise `run` is returned, and the playbook is compiled once it has ended.
 * `HEARTWOOD_COMPILED=0` turns the cache off.
 */
export async function withCompileCache<A extends unknown[]>(
  run: RunPlaybook<A>,
): Promise<(...args: A) => Promise<void>> {
  const file = playbookFile();
  const record = file === undefined ? undefined : currentRecord(file);
  if (record) {
    const { runCompiled } = await import('./run-compiled.ts');
    await runCompiled(record);
  }
  return async (...args) => {
    await run(false, ...args);
    if (file !== undefined && COMPILED_AFTER.includes(process.exitCode)) await compileForNextTime(file);
  };
}

/** The file that Node was started with; undefined where no cache is wanted. */
function playbookFile(): string | undefined {
  const [, file, ...args] = process.argv;
  if (file === undefined || process.env['HEARTWOOD_COMPILED'] === '0' || !existsSync(file)) return undefined;
  return args.some((arg) => WITHOUT_RUN.includes(arg)) ? undefined : realpathSync(file);
}

/** Compiles a playbook, unless that was tried with what it is now. */
async function compileForNextTime(file: string): Promise<void> {
  if (currentRecord(file)) return;
  try {
    const { compile } = await import('./compile.ts');
    await compile(file);
  } catch {
    // A cache that can't be written is no reason to fail.
  }
}
