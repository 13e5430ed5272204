/**
 * npm test: runs test files, each in a process of its own, and says what came of them. What runs when is in
 * test/runner/; the results are read with tap's own parser.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import pLimit from 'p-limit';
import { ExitCode, UserError } from '../engine/errors.ts';
import { chooseFiles, type TestFile, unitFiles } from '../test/runner/files.ts';
import { NODE_VERSIONS, nodeOf } from '../test/runner/node-versions.ts';
import { fileLines, timingLines, totalsLine, totalsOf } from '../test/runner/report.ts';
import { type FileResult, runFile } from '../test/runner/run-file.ts';
import { noteStandInPassed, STAND_IN_TESTS, standInHash, standInPassed } from '../test/runner/stand-in.ts';

const help = `Usage: npm test -- [OPTIONS] [FILE|FOLDER ...]

Runs the tests: all of test/, or those that are named. Ends with "N passed, N failed", and exits with 1 where one failed.

Options:
  --all           leave nothing out (npm run test:all): files *.all.test.ts, the tests of the lab's k3s where it has not
                  changed, every case where the normal run takes some at random, and unit tests on Node ${NODE_VERSIONS.join(', ')}
  --timing        show the ten slowest files and tests
  --seed NUMBER   take the random choices of the run that printed this seed
  --labs NUMBER   how many files that boot lab hosts run at once (default: ${labsAtOnce()})
  -h, --help      this text
`;

const options = {
  all: { type: 'boolean' },
  timing: { type: 'boolean' },
  seed: { type: 'string' },
  labs: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** Seconds that a file may take. */
const LIMIT = 900;

/** Lab hosts wait more than they compute. */
function labsAtOnce(): number {
  return availableParallelism() + 1;
}

const say = (line: string) => console.log(line);

/** The value of an option that is a number from `least` on. */
function numberOf(option: string, value: string | undefined, fallback: number, least: number): number {
  const number = Number(value ?? fallback);
  if (Number.isInteger(number) && number >= least) return number;
  throw new UserError(
    { what: `--${option} is "${value}"`, expected: `a whole number, ${least} or more` },
    ExitCode.usage,
  );
}

function parse(argv: string[]) {
  try {
    return parseArgs({ args: argv, options, allowPositionals: true });
  } catch (error) {
    const what = error instanceof Error ? (error.message.split('. ')[0] ?? '') : String(error);
    throw new UserError({ what, hint: 'npm test -- --help' }, ExitCode.usage);
  }
}

/** A file to run, under which Node. */
interface Job {
  readonly file: TestFile;
  readonly label: string;
  readonly node: string;
}

/** Unit files once more, under each version of Node that is promised. */
async function jobsOfVersions(files: readonly TestFile[]): Promise<Job[]> {
  const jobs: Job[] = [];
  for (const version of NODE_VERSIONS) {
    const node = await nodeOf(version);
    jobs.push(...unitFiles(files).map((file) => ({ file, node, label: `${file.path} on Node ${version}` })));
  }
  return jobs;
}

/** Makes what labs need, which takes minutes the first time; files that need no lab run meanwhile. */
async function makeCache(): Promise<void> {
  const [{ fillCache }, { defaultShape, hostDefaults }] = await Promise.all([
    import('../lab/cache.ts'),
    import('../lab/shape.ts'),
  ]);
  const bare = { ...hostDefaults, name: 'bare', ufw: false };
  await fillCache({ ...defaultShape, hosts: [...defaultShape.hosts, bare] }, say);
}

/** Runs these jobs, as many at once as they allow, and prints what came of each as soon as it is known. */
async function runJobs(
  jobs: readonly Job[],
  { env, labs, signal }: { env: NodeJS.ProcessEnv; labs: number; signal: AbortSignal },
): Promise<FileResult[]> {
  const needsLab = jobs.some(({ file }) => file.lab);
  const inLab = pLimit(labs);
  const inUnit = pLimit(availableParallelism());
  const onMachine = pLimit(1);
  const results: FileResult[] = [];
  const run = async ({ file, label, node }: Job): Promise<void> => {
    if (signal.aborted) return;
    const result = { ...(await runFile(file.path, { node, env, limit: LIMIT, signal })), path: label };
    results.push(result);
    process.stdout.write(fileLines(label, result));
  };
  const cache = needsLab ? makeCache() : Promise.resolve();
  const ended = await Promise.allSettled(
    jobs.map((job) => {
      if (job.file.lab) return cache.then(() => inLab(() => run(job)));
      const turn = () => inUnit(() => run(job));
      return job.file.locksMachine ? onMachine(turn) : turn();
    }),
  );
  // A file that was killed has left its lab.
  if (needsLab) await (await import('../test/support/lab.ts')).takeDownOrphans();
  for (const end of ended) if (end.status === 'rejected') throw end.reason;
  return results;
}

async function main(argv: string[]): Promise<number> {
  const { values, positionals } = parse(argv);
  if (values.help) {
    process.stdout.write(help);
    return ExitCode.ok;
  }
  const all = values.all ?? false;
  const seed = numberOf('seed', values.seed, Math.floor(Math.random() * 2 ** 31), 0);
  const labs = numberOf('labs', values.labs, labsAtOnce(), 1);
  const hash = standInHash();
  const { files, leftOut } = chooseFiles(positionals, all, standInPassed);
  const jobs: Job[] = files.map((file) => ({ file, label: file.path, node: process.execPath }));
  if (all && positionals.length === 0) jobs.push(...(await jobsOfVersions(files)));
  const env = { HEARTWOOD_TEST_SEED: String(seed), ...(all ? { HEARTWOOD_TEST_ALL: '1' } : {}) };
  say(`${files.length} files; --seed ${seed} makes the same random choices again`);

  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const results = await runJobs(jobs, { env, labs, signal: stop.signal });

  const passed = results.filter((result) => totalsOf([result]).failed === 0).map(({ path }) => path);
  if (noteStandInPassed(passed, hash)) say(`the tests in ${STAND_IN_TESTS} passed: commit its passed.sha256`);
  for (const { files: names, why } of leftOut) say(`left out: ${names.join(', ')} (${why})`);
  if (values.timing) process.stdout.write(timingLines(results));
  const totals = totalsOf(results);
  say(totalsLine(totals));
  if (stop.signal.aborted) return ExitCode.interrupted;
  return totals.failed > 0 || totals.passed === 0 ? ExitCode.error : ExitCode.ok;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(error.message);
  process.exitCode = error.exitCode;
}
