/** The program as a user runs it: a process of its own, its output and its exit code. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The repository. */
export const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));

/** How a process ended. */
export interface Ended {
  /** Its exit code; undefined when a signal ended it. */
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process that runs. */
export interface Running {
  readonly ended: Promise<Ended>;
  /** Resolves when its stdout matches; rejects when it ends before. */
  prints(pattern: RegExp): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  /** Closes the pipe that its stdout goes to, as `| head` does when it has enough. */
  stopReading(): void;
}

/**
 * Starts `node --import tsx FILE ARGS...`; `file` is relative to the repository.
 *
 * @param options.cwd Where it runs, and leaves its `.heartwood`; a test directory.
 * @param options.input What comes on its stdin. Default: nothing.
 */
export function start(
  file: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv; readonly input?: string },
): Running {
  const tsx = import.meta.resolve('tsx');
  const child = spawn(process.execPath, ['--import', tsx, `${REPOSITORY}${file}`, ...args], {
    cwd: options.cwd,
    env: { ...process.env, NODE_OPTIONS: '', ...options.env },
    stdio: 'pipe',
  });
  child.stdin.end(options.input ?? '');
  let stdout = '';
  let stderr = '';
  const watchers = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    for (const watcher of watchers) watcher();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) =>
      resolve({ code: code ?? undefined, signal: signal ?? undefined, stdout, stderr }),
    );
  });
  return {
    ended,
    prints: (pattern) =>
      new Promise((resolve, reject) => {
        const watcher = (): void => {
          if (!pattern.test(stdout)) return;
          watchers.delete(watcher);
          resolve();
        };
        watchers.add(watcher);
        watcher();
        void ended.then(() => reject(new Error(`ended before it printed ${pattern}:\n${stdout}\n${stderr}`)));
      }),
    kill: (signal) => {
      child.kill(signal);
    },
    stopReading: () => {
      child.stdout.destroy();
    },
  };
}

/** Runs a program to its end. */
export function program(...[file, args, options]: Parameters<typeof start>): Promise<Ended> {
  return start(file, args, options).ended;
}
