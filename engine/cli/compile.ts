/**
 * Compiles a playbook, with all it imports, into one file for compiled.ts. It is compiled only where running it from there cannot
 * differ, as far as its text tells; the record says why not otherwise.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { isBuiltin, type SourceMapPayload } from 'node:module';
import { basename, extname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, type Loader, type Metafile, type OnLoadResult, type Plugin, transform } from 'esbuild';
import {
  COMPILED_DIRECTORY,
  type CompiledRecord,
  compiledFile,
  compiledName,
  PROJECT,
  recordPath,
  stampOf,
} from './compiled.ts';
import { lastCall, onlyDeclares, treeOf } from './side-effect-free.ts';

/** Packages that go into the file, with what they import: late-packages.ts, as far as they are the same in one file. */
const INCLUDED = ['ajv', 'diff', 'handlebars', 'p-limit', 'yaml'];

/** Packages that are loaded from where they are: they look for files beside them. */
const APART = ['ssh2', 'ssh2-promise'];

/** The folder of the package that a file is in. */
const PACKAGE = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+\//;

const ENGINE = join(PROJECT, 'engine/');
const INDEX = join(ENGINE, 'index.ts');
const LATE_PACKAGES = join(ENGINE, 'late-packages.ts');
const RUNNER = join(ENGINE, 'cli/compiled.ts');

/** What stands for compiled.ts in a compiled file, which is not compiled again. */
const COMPILED_ALREADY = 'export const isCompiled = true;\nexport const compileForNextTime = async () => {};';

/** What has a say in how files are compiled, besides those that are. */
const COMPILER = [
  'package.json',
  'tsconfig.json',
  'engine/cli/compile.ts',
  'engine/cli/declares.ts',
  'node_modules/acorn/package.json',
  'node_modules/esbuild/package.json',
].map((file) => join(PROJECT, file));

const LOADERS: Readonly<Record<string, Loader>> = {
  '.ts': 'ts',
  '.mts': 'ts',
  '.js': 'js',
  '.mjs': 'js',
  '.json': 'json',
};

/** As the project is compiled by tsx: what is imported is evaluated, used or not. */
const TSCONFIG = { compilerOptions: { verbatimModuleSyntax: true } };

/** Files of other versions are kept for so long, in milliseconds: a run may still read their maps. */
const SPARED = 24 * 3600 * 1000;

/**
 * Compiles a playbook and leaves a record of it.
 * @returns why it can't be compiled, or undefined when it was.
 * @throws Error where the record can't be written.
 */
export async function compile(playbook: string): Promise<string | undefined> {
  const stamps = new Map(COMPILER.map((file) => [file, stampOf(file)]));
  const record = { playbook, node: process.version };
  try {
    const { outputFiles = [], metafile } = await build({
      entryPoints: [playbook],
      absWorkingDir: '/',
      bundle: true,
      write: false,
      metafile: true,
      outfile: join(COMPILED_DIRECTORY, 'playbook.cjs'),
      format: 'cjs',
      platform: 'node',
      target: `node${process.versions.node}`,
      // As in modules.
      banner: { js: '"use strict";' },
      keepNames: true,
      define: { 'import.meta.url': 'hw_module_url' },
      sourcemap: 'external',
      sourcesContent: false,
      logLevel: 'silent',
      tsconfigRaw: TSCONFIG,
      plugins: [filesOf(playbook, stamps)],
    });
    await seeThatOnceIsEnough(playbook, metafile);
    const [map, code] = ['.map', '.cjs'].map((end) => outputFiles.find(({ path }) => path.endsWith(end))?.text ?? '');
    keep({ ...record, sha256: sha256(code ?? ''), stamps: Object.fromEntries(stamps) }, code ?? '', map ?? '');
    return undefined;
  } catch (error) {
    const refused = error instanceof Error ? error.message : String(error);
    keep({ ...record, sha256: undefined, refused, stamps: Object.fromEntries(stamps) }, '', '');
    return refused;
  }
}

/** Loads files as they are, noting what they were before they are read, and refuses what would not be the same in another place. */
function filesOf(playbook: string, stamps: Map<string, string>): Plugin {
  const stamp = (path: string): void => {
    if (!stamps.has(path)) stamps.set(path, stampOf(path));
  };
  return {
    name: 'files',
    setup({ onLoad, onResolve }) {
      onResolve({ filter: /^\./ }, ({ path, resolveDir }) => {
        // As it is written: what is loaded is where links lead, and they can be turned.
        stamp(resolve(resolveDir, path));
        return undefined;
      });
      onResolve({ filter: /^[^./]/ }, ({ path, importer }) => {
        if (isBuiltin(path) || APART.includes(path)) return { path, external: true };
        if (PACKAGE.test(importer)) return undefined;
        if (INCLUDED.some((name) => path === name || path.startsWith(`${name}/`))) return undefined;
        throw new Error(`${importer} imports the package ${path}`);
      });
      onLoad({ filter: /./ }, async ({ path }): Promise<OnLoadResult> => {
        stamp(path);
        const loader = LOADERS[extname(path)];
        if (PACKAGE.test(path)) return { contents: readFileSync(path, 'utf8'), loader: loader ?? 'js' };
        if (loader === undefined) throw new Error(`${path} is imported, and no module`);
        const text = path === RUNNER ? COMPILED_ALREADY : readFileSync(path, 'utf8');
        return { contents: path === playbook ? await called(placed(text, path), path) : placed(text, path), loader };
      });
    },
  };
}

/**
 * A playbook's file with its call exported instead of waited for.
 * @throws Error where the call is not the last statement, or something else is waited for.
 */
async function called(text: string, path: string): Promise<string> {
  const { code } = await transform(text, {
    loader: 'ts',
    format: 'esm',
    sourcemap: 'inline',
    sourcefile: path,
    tsconfigRaw: TSCONFIG,
    define: { 'import.meta.url': 'hw_module_url' },
  });
  const call = lastCall(treeOf(code));
  if (!call) throw new Error(`${path}: its last statement is not await playbook(...), or it waits for more`);
  // As long as the "await " that it replaces, so that places on the line stay what they are.
  const assigned = `_main=${code.slice(call.start + 'await '.length)}`;
  return `${code.slice(0, call.start)}${assigned}\nvar _main;\nexport { _main as default };\n`;
}

/** A file's text as it is to be compiled: its own place is another in the compiled file. */
function placed(text: string, path: string): string {
  if (/\bimport\.meta\b(?!\.url\b)/.test(text)) throw new Error(`${path} asks import.meta for more than its url`);
  if (/\bimport\s*\((?!\s*(['"])[^'"\n]*\1\s*\))/.test(text))
    throw new Error(`${path} imports what is not known beforehand`);
  // Packages that are loaded late: their `require` is the compiler's.
  const known = path === LATE_PACKAGES ? text.replace('const require = createRequire(import.meta.url);', '') : text;
  if (/\brequire\s*\((?!\s*(['"])[^'"\n]*\1\s*\))/.test(known))
    throw new Error(`${path} requires what is not known beforehand`);
  // Nothing waits in a compiled file but the playbook.
  const quiet =
    path === INDEX ? known.replace(/^await runCompiled\(\);$/m, '').replace(/^import .*compiled\.ts';$/m, '') : known;
  // On the first line, so that the others stay where they are.
  const url = /\bimport\.meta\.url\b/.test(quiet)
    ? `const hw_module_url = ${JSON.stringify(pathToFileURL(path).href)};`
    : '';
  return url + quiet;
}

/**
 * Sees that what is evaluated besides the compiled file does nothing that could be noticed: modules that Node evaluates before the
 * engine's index is, or beside it, because they do not import it.
 */
async function seeThatOnceIsEnough(playbook: string, { inputs }: Metafile): Promise<void> {
  const importsOf = (path: string): readonly string[] =>
    (inputs[path.slice(1)]?.imports ?? []).flatMap(({ path: to, kind, external }) =>
      kind === 'import-statement' && !external ? `/${to}` : [],
    );
  const reached = (from: string): ReadonlySet<string> => {
    const all = new Set([from]);
    for (const path of all) for (const next of importsOf(path)) all.add(next);
    return all;
  };
  for (const path of reached(playbook)) {
    if (path.startsWith(ENGINE) || PACKAGE.test(path) || extname(path) === '.json' || reached(path).has(INDEX))
      continue;
    const { code } = await transform(readFileSync(path, 'utf8'), {
      loader: 'ts',
      format: 'esm',
      tsconfigRaw: TSCONFIG,
    });
    if (!onlyDeclares(treeOf(code)))
      throw new Error(`${path} does more than to declare, and does not import the engine`);
  }
}

/** Writes the compiled file, then its record; takes away what is there of older ones. */
function keep(record: CompiledRecord, code: string, map: string): void {
  mkdirSync(COMPILED_DIRECTORY, { recursive: true });
  const write = (path: string, text: string): void => {
    const draft = `${path}.${process.pid}`;
    writeFileSync(draft, text);
    renameSync(draft, path);
  };
  if (record.sha256 !== undefined) {
    write(`${compiledFile(record)}.map`, JSON.stringify(withPaths(JSON.parse(map) as SourceMapPayload)));
    write(compiledFile(record), code);
  }
  write(recordPath(record.playbook), JSON.stringify(record));
  const name = `${compiledName(record.playbook)}-`;
  for (const old of readdirSync(COMPILED_DIRECTORY)) {
    const path = join(COMPILED_DIRECTORY, old);
    if (!old.startsWith(name) || old.startsWith(basename(compiledFile(record)))) continue;
    if (Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) > SPARED) rmSync(path, { force: true });
  }
}

/** A source map whose sources are absolute paths. */
function withPaths(map: SourceMapPayload): SourceMapPayload {
  return { ...map, sources: map.sources.map((source) => resolve(COMPILED_DIRECTORY, source)) };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
