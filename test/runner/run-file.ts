/** Runs a test file in a process of its own, and reads what it says of its tests. */
import { spawn } from 'node:child_process';
import { type FinalResults, Parser, type TapError } from 'tap-parser';
import { REPOSITORY } from '../support/program.ts';

/** A test: a `t.test` without tests inside it. */
export interface TestResult {
  /** Its name, behind those of the tests that it stands in. */
  readonly path: readonly string[];
  readonly outcome: 'passed' | 'failed' | 'skipped';
  readonly seconds: number;
  /** Why it failed. */
  readonly failures: readonly TapError[];
}

/** What came of a file. */
export interface FileResult {
  readonly path: string;
  readonly seconds: number;
  readonly tests: readonly TestResult[];
  /** Lines of what it measured: comments that begin with `measured: `. */
  readonly measured: readonly string[];
  /** How it failed where no test did: assertions outside tests, a crash, the time limit. */
  readonly broke: { readonly how: string; readonly failures: readonly TapError[] } | undefined;
  /** The signal that ended it, where one did. */
  readonly killedBy: NodeJS.Signals | undefined;
  /** The end of what it wrote to stderr. */
  readonly stderr: string;
}

/** How a file is run. */
export interface FileOptions {
  /** The path of node. */
  readonly node: string;
  readonly env: NodeJS.ProcessEnv;
  /** Seconds after which it is killed. A test in it that hangs is named before. */
  readonly limit: number;
  readonly signal: AbortSignal;
}

/** Runs a file to its end. */
export async function runFile(path: string, { node, env, limit, signal }: FileOptions): Promise<FileResult> {
  const started = performance.now();
  const child = spawn(node, ['--import', 'tsx', path], {
    cwd: REPOSITORY,
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGTERM',
    timeout: (limit + 15) * 1000,
    env: { ...process.env, ...env, TAP: '1', TAP_TIMEOUT: String(limit) },
  });
  const tests: TestResult[] = [];
  const measured: string[] = [];
  const parser = new Parser();
  follow(parser, [], tests, measured);
  const results = new Promise<FinalResults>((resolve) => parser.on('complete', resolve));
  child.stdout.pipe(parser);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-8000);
  });
  const ended = await new Promise<{ how: string; killedBy: NodeJS.Signals | undefined }>((resolve) => {
    child.on('error', (error) => resolve({ how: error.message, killedBy: undefined }));
    child.on('close', (code, killedBy) =>
      resolve({ how: killedBy ? `signal ${killedBy}` : `exit code ${code}`, killedBy: killedBy ?? undefined }),
    );
  });
  parser.end();
  const { ok, failures } = await results;
  const fails = !ok || ended.how !== 'exit code 0';
  const isTold = tests.some(({ outcome }) => outcome === 'failed');
  const broke = fails && !isTold ? { how: ended.how, failures } : undefined;
  return {
    path,
    seconds: (performance.now() - started) / 1000,
    tests,
    measured,
    broke,
    killedBy: ended.killedBy,
    stderr,
  };
}

/** Collects the tests below a parser, and the names of those right below it, whole when it is complete. */
function follow(parser: Parser, path: readonly string[], tests: TestResult[], measured: string[]): Set<string> {
  const names = new Set<string>();
  parser.on('comment', (text) => {
    const [, line] = /^# (measured: .*)/.exec(text) ?? [];
    if (line) measured.push(line);
  });
  // Skipped tests never begin: they are assertions that are skipped.
  parser.on('skip', ({ name }) => {
    tests.push({ path: [...path, name], outcome: 'skipped', seconds: 0, failures: [] });
  });
  parser.on('child', (child) => {
    names.add(child.name);
    const inner = [...path, child.name];
    const below = follow(child, inner, tests, measured);
    child.on('complete', ({ ok, time, failures }: FinalResults) => {
      // A test with tests inside it counts only where it failed by itself.
      const own = failures.filter(({ name }) => !below.has(name));
      if (below.size > 0 && own.length === 0) return;
      tests.push({ path: inner, outcome: ok ? 'passed' : 'failed', seconds: (time ?? 0) / 1000, failures: own });
    });
  });
  return names;
}
