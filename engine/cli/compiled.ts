/**
 * A playbook as one compiled file. Node loads TypeScript a module at a time, a millisecond each; of a run that finds nothing
 * to do that is half. So a playbook is kept compiled, with all it imports, beside the packages (compile.ts), and is run from
 * there as long as every file it was made of is what it was.
 *
 * This is decided when the engine's index is evaluated, before any module that imports it: the playbook and its roles are
 * evaluated in their compiled form alone.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire, Module, SourceMap, type SourceMapPayload } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { constants, Script } from 'node:vm';

/** What is known of a playbook's compiled form. */
export interface CompiledRecord {
  /** Whose it is. */
  readonly playbook: string;
  /** The hash of the compiled file, which is its name; undefined where the playbook can't be compiled. */
  readonly sha256: string | undefined;
  /** Why it can't. */
  readonly refused?: string | undefined;
  /** Node's version: code is made for it. */
  readonly node: string;
  /** {@link stampOf} every file that had a say, by path. */
  readonly stamps: Readonly<Record<string, string>>;
}

/** False here; what stands for this module in a compiled file says true. */
export const isCompiled: boolean = false;

/** The folder of this project: its `node_modules` has the packages, and what is compiled. */
export const PROJECT = fileURLToPath(new URL('../../', import.meta.url));

/** Where compiled playbooks are. */
export const COMPILED_DIRECTORY = join(PROJECT, 'node_modules', '.cache', 'heartwood');

/** Words that want an answer and no run: what is loaded for it is less than a compiled playbook. */
const WITHOUT_RUN = ['--help', '-h', '--version'];

/** What the files of a playbook are called, in front of their endings. */
export function compiledName(playbook: string): string {
  const readable = playbook.replaceAll(/[^\w.-]/g, '_').slice(-100);
  return `${readable}-${createHash('sha256').update(playbook).digest('hex').slice(0, 12)}`;
}

/** Where the record of a playbook's compiled file is. */
export function recordPath(playbook: string): string {
  return join(COMPILED_DIRECTORY, `${compiledName(playbook)}.json`);
}

/** Where a playbook's compiled file is, its map (`.map`) and V8's code for it (`.code`) beside it. */
export function compiledFile({ playbook, sha256 = '' }: Pick<CompiledRecord, 'playbook' | 'sha256'>): string {
  return join(COMPILED_DIRECTORY, `${compiledName(playbook)}-${sha256.slice(0, 16)}.cjs`);
}

/** What changes when a file does: size, times, and which file it is. `absent` where there is none. */
export function stampOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  // ctime: the kernel sets it with every change, whatever a program says of mtime.
  return found ? `${found.size} ${found.mtimeMs} ${found.ctimeMs} ${found.ino}` : 'absent';
}

/** The record of a playbook, where it is of what the playbook is now. */
export function currentRecord(playbook: string): CompiledRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(recordPath(playbook), 'utf8')) as CompiledRecord;
    if (record.playbook !== playbook || record.node !== process.version) return undefined;
    return Object.entries(record.stamps).every(([file, stamp]) => stampOf(file) === stamp) ? record : undefined;
  } catch {
    // None yet; or one that can't be read, which is no reason not to run.
    return undefined;
  }
}

/**
 * Runs the playbook that Node was started with from its compiled file and does not return then; returns where there is none of what
 * it is now. `HEARTWOOD_COMPILED=0` in the environment has it run from its sources.
 */
export async function runCompiled(): Promise<void> {
  const words = process.argv.slice(2);
  if (words.some((word) => WITHOUT_RUN.includes(word))) return;
  const program = programOf(ownPlaybook());
  if (!program) return;
  mapPlaces(program.file);
  const module: { exports: { default?: Promise<void> } } = { exports: {} };
  program.script.runInThisContext()(
    module.exports,
    createRequire(program.file),
    module,
    program.file,
    COMPILED_DIRECTORY,
  );
  await module.exports.default;
  if (!words.some((word) => word.startsWith('--list-'))) keepCode(program);
  // Node ends with the exit code that the run has set; what waits for this module is not evaluated a second time.
  await new Promise(() => {});
}

/** Compiles the playbook that Node was started with, where that has not been done. A run does not fail for it. */
export async function compileForNextTime(): Promise<void> {
  const playbook = ownPlaybook();
  if (playbook === undefined || currentRecord(playbook)) return;
  try {
    const { compile } = await import('./compile.ts');
    await compile(playbook);
  } catch {
    // No place to write to, or no compiler here.
  }
}

/** The file that Node was started with, where playbooks may be compiled. */
function ownPlaybook(): string | undefined {
  const [, file] = process.argv;
  if (file === undefined || process.env['HEARTWOOD_COMPILED'] === '0' || !existsSync(file)) return undefined;
  return realpathSync(file);
}

/** A compiled file, ready to run. */
interface CompiledProgram {
  readonly file: string;
  readonly script: Script;
}

/** The compiled file of a playbook, with the machine code that an earlier run left beside it where V8 takes that. */
function programOf(playbook: string | undefined): CompiledProgram | undefined {
  const record = playbook === undefined ? undefined : currentRecord(playbook);
  if (record?.sha256 === undefined) return undefined;
  const file = compiledFile(record);
  try {
    const code = readFileSync(file);
    if (createHash('sha256').update(code).digest('hex') !== record.sha256) return undefined;
    const cachedData = existsSync(`${file}.code`) ? readFileSync(`${file}.code`) : undefined;
    const script = new Script(Module.wrap(code.toString()), {
      filename: file,
      ...(cachedData ? { cachedData } : {}),
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
    return { file, script };
  } catch {
    return undefined;
  }
}

/** After a run that came to its end, when what it called has been translated: for the runs to come. */
function keepCode({ file, script }: CompiledProgram): void {
  const path = `${file}.code`;
  const ended = process.exitCode === 0 || process.exitCode === 2;
  if (!ended || (existsSync(path) && !script.cachedDataRejected)) return;
  const draft = `${path}.${process.pid}`;
  try {
    writeFileSync(draft, script.createCachedData());
    renameSync(draft, path);
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
