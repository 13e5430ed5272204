/**
 * A playbook as one compiled file. Node loads TypeScript a module at a time, a millisecond each; of a run that finds nothing
 * to do that is half. So a playbook is kept compiled, with all it imports, beside the packages ({@link compile}), and is run
 * from there as long as every file it was made of is what it was.
 */
import { existsSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire, Module, SourceMap, type SourceMapPayload } from 'node:module';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { constants, Script } from 'node:vm';

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
 * @param whole It is a whole run, whose machine code is worth keeping.
 * @returns false when there is none: nothing has been run then.
 */
export async function ranCompiled(whole: boolean): Promise<boolean> {
  const playbook = ownPlaybook();
  if (playbook === undefined) return false;
  const path = recordPath(playbook);
  let program: Program;
  try {
    const record = JSON.parse(readFileSync(path, 'utf8')) as CompiledRecord;
    if (record.node !== process.version) return false;
    for (const [file, stamp] of Object.entries(record.stamps)) if (stampOf(file) !== stamp) return false;
    program = begin(join(COMPILED_DIRECTORY, basename(record.file)));
  } catch {
    // None yet; or one that is damaged. Its last statement, which is what has effects, throws nothing.
    rmSync(path, { force: true });
    return false;
  }
  await program.ended;
  if (whole) keepCode(program);
  return true;
}

/** A compiled file that runs. */
interface Program {
  readonly script: Script;
  readonly codeFile: string;
  readonly ended: Promise<void>;
}

/** Runs a compiled file, from the machine code that an earlier run left beside it where V8 takes that. */
function begin(file: string): Program {
  const codeFile = `${file}.code`;
  const cachedData = existsSync(codeFile) ? readFileSync(codeFile) : undefined;
  const script = new Script(Module.wrap(readFileSync(file, 'utf8')), {
    filename: file,
    ...(cachedData ? { cachedData } : {}),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  mapPlaces(file);
  const module: { exports: { default?: Promise<void> } } = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(file), module, file, COMPILED_DIRECTORY);
  return { script, codeFile, ended: module.exports.default ?? Promise.resolve() };
}

/** After a run, when what it called has been translated: for the runs to come. */
function keepCode({ script, codeFile }: Program): void {
  if (existsSync(codeFile) && !script.cachedDataRejected) return;
  const draft = `${codeFile}.${process.pid}`;
  try {
    writeFileSync(draft, script.createCachedData());
    renameSync(draft, codeFile);
  } catch {
    rmSync(draft, { force: true });
  }
}

/** Has stack traces name the places in the sources. The map is read with the first that is asked for. */
function mapPlaces(file: string): void {
  let map: SourceMap | undefined;
  const read = (): SourceMap => {
    try {
      return new SourceMap(JSON.parse(readFileSync(`${file}.map`, 'utf8')) as SourceMapPayload);
    } catch {
      return new SourceMap({
        file,
        version: 3,
        sources: [],
        sourcesContent: [],
        names: [],
        mappings: '',
        sourceRoot: '',
      });
    }
  };
  const place = (frame: NodeJS.CallSite): string => {
    if (frame.getFileName() !== file) return String(frame);
    map ??= read();
    const found = map.findEntry((frame.getLineNumber() ?? 1) - 1, (frame.getColumnNumber() ?? 1) - 1);
    if (!('originalSource' in found)) return String(frame);
    const at = `${found.originalSource}:${found.originalLine + 1}:${found.originalColumn + 1}`;
    const name = frame.getFunctionName();
    return name ? `${name} (${at})` : at;
  };
  Error.prepareStackTrace = (error, frames) => [error, ...frames.map(place)].join('\n    at ');
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
