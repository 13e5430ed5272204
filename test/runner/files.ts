/** Which test files there are, what each needs, and which of them a run leaves out. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { UserError } from '../../engine/errors.ts';
import { REPOSITORY } from '../support/program.ts';
import { STAND_IN_TESTS } from './stand-in.ts';

/** A test file, and what it needs. */
export interface TestFile {
  /** From the repository's root. */
  readonly path: string;
  /** It boots lab hosts: it waits more than it computes, and needs the lab's cache. */
  readonly lab: boolean;
  /** It takes the lock that a run takes on its host, on this machine: such files run one at a time. */
  readonly locksMachine: boolean;
}

/** Files that `npm test` leaves out, with the reason. */
export interface LeftOut {
  readonly files: readonly string[];
  readonly why: string;
}

/** Those that take longest start first, or one of them would be left running alone at the end. */
const LONGEST = [
  'test/lab/install.test.ts',
  'test/lab/eldertree.test.ts',
  'test/lab/k3s/join.test.ts',
  'test/lab/k3s/go.test.ts',
  'test/lab/k3s/outages.test.ts',
  'test/lab/k3s-bad-join.test.ts',
  'test/lab/k3s-bad-input.test.ts',
  'test/contract/system.test.ts',
  'test/lab/k3s/server.test.ts',
  'test/lab/bad-input.test.ts',
  'test/contract/kubernetes.test.ts',
  'test/lab/lab.test.ts',
  'test/engine/remote/session.test.ts',
  'test/engine/remote/ssh.test.ts',
  'test/scripts/new.test.ts',
];

const LAB = /^test\/(lab|contract)\//;
const LOCKS_MACHINE = /^test\/(cli\/|engine\/remote\/session\.test)/;
/** The end of the names of files that only `npm run test:all` runs. */
const ONLY_ALL = '.all.test.ts';

/**
 * The files of a run, in the order they start in, and those left out.
 *
 * @param words Files and folders; none: everything. A file that is named is never left out.
 * @param all Leave nothing out.
 * @param standInPassed Whether the stand-in's tests have passed on the sources as they are.
 * @throws UserError for a word that is no test file or folder.
 */
export function chooseFiles(
  words: readonly string[],
  all: boolean,
  standInPassed: () => boolean,
): { files: TestFile[]; leftOut: LeftOut[] } {
  const named = words.filter((word) => !isFolder(word)).map(testFile);
  const folders = words.length === 0 ? ['test'] : words.filter(isFolder).map(fromRoot);
  const found = folders.flatMap(testsBelow).filter((path) => !named.includes(path));
  const leftOut: LeftOut[] = [];
  const leaveOut = (files: readonly string[], why: string) => files.length > 0 && leftOut.push({ files, why });
  if (!all) {
    const ofStandIn = found.filter((path) => path.startsWith(`${STAND_IN_TESTS}/`));
    if (ofStandIn.length > 0 && standInPassed()) {
      leaveOut(ofStandIn, 'the stand-in for k3s is as it was when they last passed');
    }
    leaveOut(
      found.filter((path) => path.endsWith(ONLY_ALL)),
      'only npm run test:all runs them',
    );
  }
  const left = new Set(leftOut.flatMap(({ files }) => files));
  const paths = [...new Set([...named, ...found.filter((path) => !left.has(path))])];
  const place = (path: string) => (LONGEST.includes(path) ? LONGEST.indexOf(path) : LONGEST.length);
  paths.sort((a, b) => place(a) - place(b) || a.localeCompare(b));
  return { files: paths.map(described), leftOut };
}

/** The files that need no lab, for runs under other versions of Node. */
export function unitFiles(files: readonly TestFile[]): TestFile[] {
  return files.filter(({ path, lab }) => !lab && !path.endsWith(ONLY_ALL));
}

function described(path: string): TestFile {
  return { path, lab: LAB.test(path), locksMachine: LOCKS_MACHINE.test(path) };
}

function isFolder(word: string): boolean {
  return existsSync(word) && statSync(word).isDirectory();
}

function fromRoot(word: string): string {
  return relative(REPOSITORY, resolve(word));
}

function testFile(word: string): string {
  if (existsSync(word) && word.endsWith('.test.ts')) return fromRoot(word);
  throw new UserError({
    what: existsSync(word) ? `"${word}" is not a test file` : `no such file or folder: ${word}`,
    expected: 'files whose names end in .test.ts, and folders with such files',
  });
}

/** The test files below a folder; not those that a test has laid out in tap's own folder. */
function testsBelow(folder: string): string[] {
  return readdirSync(join(REPOSITORY, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => path.endsWith('.test.ts') && !/(^|\/)(node_modules|\.tap)\//.test(path));
}
