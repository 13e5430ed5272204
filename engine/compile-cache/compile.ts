/**
 * Compiles a playbook, with all that it imports, into one file. Where the compiled file could behave differently from
 * the sources, it is not made, and the record says why.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { isBuiltin, type SourceMapPayload } from 'node:module';
import { basename, extname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, type Loader, type Metafile, type OnLoadResult, type Plugin, transform } from 'esbuild';
import {
  CACHE_DIRECTORY,
  type CacheRecord,
  cacheName,
  compiledFile,
  PROJECT,
  recordPath,
  stampOf,
} from './cache-record.ts';
import { lastCall, onlyDeclares, treeOf } from './side-effect-free.ts';

/** Packages that go into the compiled file, with what they import. */
const INCLUDED = ['ajv', 'diff', 'fast-string-truncated-width', 'handlebars', 'ipaddr.js', 'p-limit', 'yaml'];

/** Packages that are loaded from their own folder, because they look for files there. */
const EXTERNAL = ['ssh2', 'ssh2-promise'];

/** The folder of the package that a file is in. */
const PACKAGE = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+\//;

const ENGINE = join(PROJECT, 'engine/');
const INDEX = join(ENGINE, 'index.ts');
const LAZY_PACKAGES = join(ENGINE, 'lazy-packages.ts');
const CACHE = join(ENGINE, 'compile-cache/with-compile-cache.ts');

/** Stands for with-compile-cache.ts in a compiled file, which needs no cache. */
const NO_CACHE = 'export const withCompileCache = (run) => (...args) => run(true, ...args);';

/** Files that decide how a playbook is compiled. */
const COMPILER = [
  'package.json',
  'tsconfig.json',
  'engine/compile-cache/compile.ts',
  'engine/compile-cache/side-effect-free.ts',
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

/** As tsx compiles the project: every import is evaluated, used or not. */
const TSCONFIG = { compilerOptions: { verbatimModuleSyntax: true } };

/** Milliseconds for which files of other versions are kept: a run may still read their source maps. */
const KEEP_OLD_FOR = 24 * 3600 * 1000;

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
      outfile: join(CACHE_DIRECTORY, 'playbook.cjs'),
      format: 'cjs',
      platform: 'node',
      target: `node${process.versions.node}`,
      // Modules are strict; a script is not.
      banner: { js: '"use strict";' },
      keepNames: true,
      define: { 'import.meta.url': 'hw_module_url' },
      sourcemap: 'external',
      sourcesContent: false,
      logLevel: 'silent',
      tsconfigRaw: TSCONFIG,
      plugins: [filesOf(playbook, stamps)],
    });
    await refuseSideEffects(playbook, metafile);
    const [map, code] = ['.map', '.cjs'].map((end) => outputFiles.find(({ path }) => path.endsWith(end))?.text ?? '');
    write({ ...record, sha256: sha256(code ?? ''), stamps: Object.fromEntries(stamps) }, code ?? '', map ?? '');
    return undefined;
  } catch (error) {
    const refused = error instanceof Error ? error.message : String(error);
    write({ ...record, sha256: undefined, refused, stamps: Object.fromEntries(stamps) }, '', '');
    return refused;
  }
}

/** Loads files and notes the stamp of each before it is read. Refuses what would behave differently in another file. */
function filesOf(playbook: string, stamps: Map<string, string>): Plugin {
  const stamp = (path: string): void => {
    if (!stamps.has(path)) stamps.set(path, stampOf(path));
  };
  return {
    name: 'files',
    setup({ onLoad, onResolve }) {
      onResolve({ filter: /^\./ }, ({ path, resolveDir }) => {
        // The path as it is written: the file that is loaded is behind links, and links can be changed.
        stamp(resolve(resolveDir, path));
        return undefined;
      });
      onResolve({ filter: /^[^./]/ }, ({ path, importer }) => {
        if (isBuiltin(path) || EXTERNAL.includes(path)) return { path, external: true };
        if (PACKAGE.test(importer)) return undefined;
        if (INCLUDED.some((name) => path === name || path.startsWith(`${name}/`))) return undefined;
        throw new Error(`${importer} imports the package ${path}`);
      });
      onLoad({ filter: /./ }, async ({ path }): Promise<OnLoadResult> => {
        stamp(path);
        const loader = LOADERS[extname(path)];
        if (PACKAGE.test(path)) return { contents: readFileSync(path, 'utf8'), loader: loader ?? 'js' };
        if (loader === undefined) throw new Error(`${path} is imported and is not a module`);
        const text = inBundle(path === CACHE ? NO_CACHE : readFileSync(path, 'utf8'), path);
        return { contents: path === playbook ? await withExportedCall(text, path) : text, loader };
      });
    },
  };
}

/**
 * A playbook's text that exports its call instead of awaiting it: a script can't wait.
 * @throws Error where the call is not the last statement, or something else is awaited.
 */
async function withExportedCall(text: string, path: string): Promise<string> {
  const { code } = await transform(text, {
    loader: 'ts',
    format: 'esm',
    sourcemap: 'inline',
    sourcefile: path,
    tsconfigRaw: TSCONFIG,
    define: { 'import.meta.url': 'hw_module_url' },
  });
  const call = lastCall(treeOf(code));
  if (!call) throw new Error(`${path}: its last statement is not await playbook(...), or it awaits something else`);
  // As long as the "await " that it replaces, so that columns stay what they are.
  const assigned = `_main=${code.slice(call.start + 'await '.length)}`;
  return `${code.slice(0, call.start)}${assigned}\nvar _main;\nexport { _main as default };\n`;
}

/**
 * A file's text as it is compiled into one file with others.
 * @throws Error where it could behave differently there.
 */
function inBundle(text: string, path: string): string {
  if (/\bimport\.meta\b(?!\.url\b)/.test(text)) throw new Error(`${path} uses more of import.meta than its url`);
  if (/\bimport\s*\((?!\s*(['"])[^'"\n]*\1\s*\))/.test(text)) throw new Error(`${path} imports a computed name`);
  let changed = text;
  // The compiler resolves what is required: its own `require` does it.
  if (path === LAZY_PACKAGES) changed = text.replace('const require = createRequire(import.meta.url);', '');
  if (/\brequire\s*\((?!\s*(['"])[^'"\n]*\1\s*\))/.test(changed)) throw new Error(`${path} requires a computed name`);
  if (path === INDEX) changed = text.replace('await withCompileCache(', 'withCompileCache(');
  if (!/\bimport\.meta\.url\b/.test(changed)) return changed;
  // On the first line, so that lines keep their numbers.
  return `const hw_module_url = ${JSON.stringify(pathToFileURL(path).href)};${changed}`;
}

/**
 * Modules that do not import the engine's index are evaluated before it, so before the compiled file: twice in all.
 * @throws Error where that could be noticed.
 */
async function refuseSideEffects(playbook: string, { inputs }: Metafile): Promise<void> {
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
    if (!onlyDeclares(treeOf(code))) throw new Error(`${path} has side effects and does not import the engine`);
  }
}

/** Writes the compiled file, then its record. Removes old files of the playbook. */
function write(record: CacheRecord, code: string, map: string): void {
  mkdirSync(CACHE_DIRECTORY, { recursive: true });
  const replace = (path: string, text: string): void => {
    const draft = `${path}.${process.pid}`;
    writeFileSync(draft, text);
    renameSync(draft, path);
  };
  if (record.sha256 !== undefined) {
    replace(`${compiledFile(record)}.map`, JSON.stringify(withPaths(JSON.parse(map) as SourceMapPayload)));
    replace(compiledFile(record), code);
  }
  replace(recordPath(record.playbook), JSON.stringify(record));
  const name = `${cacheName(record.playbook)}-`;
  for (const old of readdirSync(CACHE_DIRECTORY)) {
    const path = join(CACHE_DIRECTORY, old);
    if (!old.startsWith(name) || old.startsWith(basename(compiledFile(record)))) continue;
    if (Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) > KEEP_OLD_FOR)
      rmSync(path, { force: true });
  }
}

/** A source map whose sources are absolute paths. */
function withPaths(map: SourceMapPayload): SourceMapPayload {
  return { ...map, sources: map.sources.map((source) => resolve(CACHE_DIRECTORY, source)) };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
