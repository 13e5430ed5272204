/**
 * A playbook as one compiled file. Node loads TypeScript a module at a time, a millisecond each; of a run that finds nothing
 * to do that is half. So a playbook is kept compiled, with all it imports, beside the packages ({@link compile}), and is run
 * from there as long as every file it was made of is what it was.
 */
import { existsSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** What a compiled file was made of. */
export interface CompiledRecord {
  /** Its name, beside the record. */
  readonly file: string;
  /** Node's version: code is made for it. */
  readonly node: string;
  /** {@link stampOf} every file that had a say, by path. */
  readonly stamps: Readonly<Record<string, string>>;
}

/** The folder of this project: its `node_modules` has the packages, and what is compiled. */
export const PROJECT = fileURLToPath(new URL('../../', import.meta.url));

/** Where compiled playbooks are. */
export const COMPILED_DIRECTORY = join(PROJECT, 'node_modules', '.cache', 'heartwood');

/** Where the record of a playbook's compiled file is. */
export function recordPath(playbook: string): string {
  const name = playbook.startsWith(PROJECT) ? playbook.slice(PROJECT.length) : playbook;
  return join(COMPILED_DIRECTORY, `${name.replaceAll(/[^\w.-]/g, '_')}.json`);
}

/** What changes when a file does: size, times, and which file it is. `absent` where there is none. */
export function stampOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  // ctime: the kernel sets it with every change, whatever a program says of mtime.
  return found ? `${found.size} ${found.mtimeMs} ${found.ctimeMs} ${found.ino}` : 'absent';
}

/**
 * Runs the playbook that Node was started with from its compiled file, where there is one of what it is now.
 * @returns false when there is none: nothing has been run then.
 */
export async function ranCompiled(): Promise<boolean> {
  const playbook = ownPlaybook();
  if (playbook === undefined) return false;
  const path = recordPath(playbook);
  try {
    const record = JSON.parse(readFileSync(path, 'utf8')) as CompiledRecord;
    if (record.node !== process.version) return false;
    for (const [file, stamp] of Object.entries(record.stamps)) if (stampOf(file) !== stamp) return false;
    await import(pathToFileURL(join(COMPILED_DIRECTORY, basename(record.file))).href);
    return true;
  } catch {
    // None yet; or one that is damaged. What it runs as its last statement throws nothing, so it has not come to that.
    rmSync(path, { force: true });
    return false;
  }
}

/** Compiles the playbook that Node was started with. What can't be compiled runs as it is the next time, too. */
export async function compileForNextTime(): Promise<void> {
  const playbook = ownPlaybook();
  if (playbook === undefined) return;
  const { compile } = await import('./compile.ts');
  await compile(playbook);
}

function ownPlaybook(): string | undefined {
  const [, file] = process.argv;
  return file !== undefined && existsSync(file) ? realpathSync(file) : undefined;
}
