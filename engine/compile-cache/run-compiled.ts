/** Runs a playbook's compiled file, with the machine code that V8 made of it in an earlier run. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire, Module, SourceMap, type SourceMapPayload } from 'node:module';
import { dirname } from 'node:path';
import { constants, Script } from 'node:vm';
import { type CacheRecord, compiledFile } from './cache-record.ts';

/** Runs a playbook from its compiled file and does not return; returns at once where there is none that can be run. */
export async function runCompiled(record: CacheRecord): Promise<void> {
  const program = programOf(record);
  if (!program) return;
  mapPlaces(program.file);
  const module: { exports: { default?: Promise<void> } } = { exports: {} };
  const evaluate = program.script.runInThisContext() as (...args: unknown[]) => void;
  evaluate(module.exports, createRequire(program.file), module, program.file, dirname(program.file));
  await module.exports.default;
  if (!process.argv.some((arg) => arg.startsWith('--list-'))) keepCode(program);
  // The modules that wait for this one must not be evaluated: they are in the compiled file. So this never settles,
  // which Node calls a mistake when nothing else is left to do. Leave just before that, with the exit code that the run
  // has set.
  process.once('beforeExit', () => process.exit());
  await new Promise(() => {});
}

/** A compiled file, ready to run. */
interface CompiledProgram {
  readonly file: string;
  readonly script: Script;
}

/** The compiled file of a record; undefined where it is missing or is not what was compiled. */
function programOf(record: CacheRecord): CompiledProgram | undefined {
  if (record.sha256 === undefined) return undefined;
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

/** Keeps V8's code after a run that came to its end: by then it has what the run called. */
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

/** Has stack traces name the places in the sources. The source map is read when the first stack trace is made. */
function mapPlaces(file: string): void {
  let map: SourceMap | undefined;
  const read = (): SourceMap => {
    try {
      return new SourceMap(JSON.parse(readFileSync(`${file}.map`, 'utf8')) as SourceMapPayload);
    } catch {
      const empty = { version: 3, sources: [], sourcesContent: [], names: [], mappings: '', sourceRoot: '' };
      return new SourceMap({ file, ...empty });
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
