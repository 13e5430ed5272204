/**
 * The tests in test/lab/k3s are about the lab's stand-in for k3s, and say nothing of Heartwood itself. They need not
 * run again while all they depend on is as it was when they last passed: `passed.sha256` beside them has its hash. It
 * is written when they pass, and committed.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binaryName, releaseFolder } from '../../lab/artifacts.ts';
import { machineArchitecture } from '../../lab/prepare.ts';
import { hashOfSources } from '../../lab/sources.ts';
import { REPOSITORY } from '../support/program.ts';

/** Where they are. */
export const STAND_IN_TESTS = 'test/lab/k3s';

const STAMP = `${STAND_IN_TESTS}/passed.sha256`;

/** What they depend on. Of the engine they need but the texts of errors, which are not what they are about. */
const SOURCES = [
  'lab',
  STAND_IN_TESTS,
  ...['api-poll', 'cluster', 'k3s', 'lab', 'until'].map((name) => `test/support/${name}.ts`),
];

/** The hash of all that they depend on. */
export function standInHash(): string {
  return hashOfSources(SOURCES, (path) => path !== STAMP && !path.endsWith('.md'));
}

/** Whether labs on this machine serve the stand-in, and not a real k3s. */
function isServed(): boolean {
  const real = join(releaseFolder(), binaryName(machineArchitecture() ?? 'amd64'));
  return process.env['K3S_BIN'] === undefined && !existsSync(real);
}

/** Whether they have passed on the sources as they are. Of a real k3s that is not known. */
export function standInPassed(): boolean {
  const stamp = join(REPOSITORY, STAMP);
  return isServed() && existsSync(stamp) && readFileSync(stamp, 'utf8').trim() === standInHash();
}

/**
 * Notes that these files passed; true where they are all of the stand-in's tests and the note is new.
 *
 * @param hash {@link standInHash} before they ran. Where it is another by now, nothing is noted.
 */
export function noteStandInPassed(passed: readonly string[], hash: string): boolean {
  const tests = readdirSync(join(REPOSITORY, STAND_IN_TESTS)).filter((name) => name.endsWith('.test.ts'));
  const all = tests.every((name) => passed.includes(`${STAND_IN_TESTS}/${name}`));
  if (!all || !isServed() || standInPassed() || hash !== standInHash()) return false;
  writeFileSync(join(REPOSITORY, STAMP), `${hash}\n`);
  return true;
}
