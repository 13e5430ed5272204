/** What `npm test` prints of its files: a line each, every failed test with its reasons, the slowest. */
import type { TapError } from 'tap-parser';
import type { FileResult, TestResult } from './run-file.ts';

/** How many tests ended in which way. */
export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The totals of these files. A file that broke outside its tests counts as a failed test. */
export function totalsOf(files: readonly FileResult[]): Totals {
  const tests = files.flatMap((file) => file.tests);
  const count = (outcome: TestResult['outcome']) => tests.filter((test) => test.outcome === outcome).length;
  const broken = files.filter(({ broke }) => broke).length;
  return { passed: count('passed'), failed: count('failed') + broken, skipped: count('skipped') };
}

/** `5 passed, 0 failed`, and what was skipped. */
export function totalsLine({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** A file's lines; `label` names it. */
export function fileLines(label: string, file: FileResult): string {
  const { tests, measured, broke, killedBy, seconds, stderr } = file;
  const totals = totalsOf([file]);
  const about = [totalsLine(totals), `${seconds.toFixed(1)} s`, ...(killedBy ? [`killed by ${killedBy}`] : [])];
  const lines = [
    ...measured.map((line) => `       ${line}\n`),
    ...tests.filter(({ outcome }) => outcome === 'failed').map(failedTest),
    ...(broke ? [`FAILED outside its tests (${broke.how})\n${broke.failures.map(explained).join('')}`] : []),
    ...(totals.failed > 0 && stderr !== '' ? [indented(`stderr ended with:\n${stderr}`)] : []),
    `${totals.failed > 0 ? 'FAILED' : 'ok    '} ${label} (${about.join(', ')})\n`,
  ];
  return lines.join('');
}

function failedTest({ path, failures }: TestResult): string {
  return `FAILED ${path.join(' / ')}\n${failures.map(explained).join('')}`;
}

/** A failed assertion: its name, what was found and wanted, where. */
function explained(failure: TapError): string {
  const { name, diag, tapError } = failure as { name?: string; diag?: Record<string, unknown>; tapError?: string };
  const { diff, found, wanted, error, stack } = diag ?? {};
  const at = diag?.['at'] as { fileName?: string; lineNumber?: number } | undefined;
  const lines = [
    name ?? tapError,
    at?.fileName && `at ${at.fileName}:${at.lineNumber}`,
    diff ?? (found !== undefined && `found: ${JSON.stringify(found)}\nwanted: ${JSON.stringify(wanted)}`),
    error && JSON.stringify(error),
    !diff && stack,
  ];
  return indented(lines.filter(Boolean).join('\n'));
}

function indented(text: string): string {
  return `${text.trimEnd().replaceAll(/^/gm, '    ')}\n`;
}

/** How many of the slowest are shown. */
const SLOWEST = 10;

/** The slowest files, and the slowest tests. */
export function timingLines(files: readonly FileResult[]): string {
  const slowest = (title: string, rows: readonly (readonly [seconds: number, name: string])[]) => {
    const shown = rows.toSorted(([a], [b]) => b - a).slice(0, SLOWEST);
    return `${title}\n${shown.map(([seconds, name]) => `${seconds.toFixed(1).padStart(8)} s  ${name}\n`).join('')}`;
  };
  const tests = files.flatMap(({ path, tests }) =>
    tests.map((test) => [test.seconds, `${path}: ${test.path.join(' / ')}`] as const),
  );
  const ofFiles = files.map(({ path, seconds }) => [seconds, path] as const);
  return `${slowest('Slowest files:', ofFiles)}${slowest('Slowest tests:', tests)}`;
}
