/**
 * Compiles a playbook, with all it imports, into one file for {@link ranCompiled}. It is compiled only where running it from
 * there cannot differ: the playbook's file is imports, declarations and one call, so that it matters to nobody that they are there twice;
 * nothing is imported by a name that is not known beforehand.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin, type SourceMapPayload } from 'node:module';
import { basename, extname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type BuildOptions, build, type Loader, type OnLoadResult, type Plugin, transform } from 'esbuild';
import { COMPILED_DIRECTORY, type CompiledRecord, PROJECT, recordPath, stampOf } from './compiled.ts';

/** Packages that go into the file, with what they import: those that are known to be the same there. */
const INCLUDED = ['ajv', 'diff', 'handlebars', 'p-limit', 'yaml'];

/** Packages that are loaded from where they are: they look for files beside them, and in one file would be no quicker. */
const APART = ['ssh2', 'ssh2-promise'];

/** The folder of the package that a file is in. */
const PACKAGE = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+\//;

/** What stands for compiled.ts in a compiled file, which is neither to be run from another nor compiled again. */
const COMPILED_ALREADY =
  'export const ranCompiled = async () => false;\nexport const compileForNextTime = async () => {};';
const RUNNER = join(PROJECT, 'engine/cli/compiled.ts');

/** What has a say in how files are compiled, besides this one. */
const SETTINGS = ['package.json', 'tsconfig.json', 'node_modules/esbuild/package.json'].map((file) =>
  join(PROJECT, file),
);

const CALL = /^await playbook\(/m;

const LOADERS: Readonly<Record<string, Loader>> = {
  '.ts': 'ts',
  '.mts': 'ts',
  '.js': 'js',
  '.mjs': 'js',
  '.json': 'json',
};

/**
 * Compiles a playbook and puts it where {@link ranCompiled} looks.
 * @returns why it can't be compiled, or undefined when it was.
 */
export async function compile(playbook: string): Promise<string | undefined> {
  const stamps = new Map([...SETTINGS, fileURLToPath(import.meta.url)].map((file) => [file, stampOf(file)]));
  try {
    const { outputFiles = [] } = await build({
      entryPoints: [playbook],
      bundle: true,
      write: false,
      outfile: join(COMPILED_DIRECTORY, 'playbook.cjs'),
      format: 'cjs',
      platform: 'node',
      target: `node${process.versions.node}`,
      sourcemap: 'external',
      sourcesContent: false,
      logLevel: 'silent',
      plugins: [filesOf(playbook, stamps)],
    } satisfies BuildOptions);
    const [map, code] = ['.map', '.cjs'].map((end) => outputFiles.find(({ path }) => path.endsWith(end))?.text ?? '');
    keep(playbook, code ?? '', map ?? '', stamps);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Loads files as they are, noting what they were before they are read, and refuses what would not be the same in another place. */
function filesOf(playbook: string, stamps: Map<string, string>): Plugin {
  return {
    name: 'files',
    setup({ onLoad, onResolve }) {
      onResolve({ filter: /^[^./]/ }, ({ path, importer }) => {
        if (isBuiltin(path) || APART.includes(path)) return { path, external: true };
        if (PACKAGE.test(importer) || INCLUDED.some((name) => path === name || path.startsWith(`${name}/`)))
          return undefined;
        throw new Error(`${importer} imports the package ${path}`);
      });
      onLoad({ filter: /./ }, async ({ path }): Promise<OnLoadResult> => {
        const [ofPackage] = PACKAGE.exec(path) ?? [];
        const source = ofPackage === undefined ? path : `${ofPackage}package.json`;
        if (!stamps.has(source)) stamps.set(source, stampOf(source));
        const text = path === RUNNER ? COMPILED_ALREADY : readFileSync(path, 'utf8');
        const loader = LOADERS[extname(path)];
        if (ofPackage !== undefined) return { contents: text, loader: loader ?? 'js' };
        if (loader === undefined) throw new Error(`${path} is imported, and no module`);
        return { contents: path === playbook ? await called(placed(text, path), path) : placed(text, path), loader };
      });
    },
  };
}

/**
 * A playbook's file with its call exported instead of waited for.
 * @throws Error where it is not imports and declarations, then `await playbook(...)`, and nothing else.
 */
async function called(text: string, path: string): Promise<string> {
  const { code } = await transform(text, { loader: 'ts', format: 'esm', sourcemap: 'inline', sourcefile: path });
  // As esbuild prints it, what begins a line is a statement's first word or its last bracket.
  const statements = code.split('\n').filter((line) => /^[^\s)}\]`/]/.test(line));
  const others = statements.filter((line) => !/^(import|const|let|var|function|async function|class)\b/.test(line));
  // An answer that is waited for might be a person's.
  const isOneCall = others.length === 1 && CALL.test(others[0] ?? '') && code.split(/\bawait\b/).length === 2;
  if (!isOneCall) throw new Error(`${path} does more than to call playbook(...)`);
  // As long as what it replaces, so that places on the line stay what they are.
  return `${code.replace(CALL, '_main=playbook(')}\nvar _main;\nexport { _main as default };\n`;
}

/** A file's text with its own place written into it: `import.meta.url` is another in the compiled file. */
function placed(text: string, path: string): string {
  const url = JSON.stringify(pathToFileURL(path).href);
  const known = text
    .replaceAll(/\bimport\.meta\.url\b/g, url)
    // Packages that are loaded late are among those included: their `require` is the compiler's.
    .replaceAll(new RegExp(`^const require = createRequire\\(${url}\\);$`, 'gm'), '');
  if (/\bimport\.meta\b/.test(known)) throw new Error(`${path} asks import.meta for more than its url`);
  if (/\bimport\(\s*[^'"\s)]/.test(known)) throw new Error(`${path} imports what is not known beforehand`);
  return known;
}

/** Writes the compiled file, then its record; takes away what was there before. */
function keep(playbook: string, code: string, map: string, stamps: ReadonlyMap<string, string>): void {
  const record = recordPath(playbook);
  const name = basename(record, '.json');
  const file = `${name}-${createHash('sha256').update(code).digest('hex').slice(0, 16)}.cjs`;
  mkdirSync(COMPILED_DIRECTORY, { recursive: true });
  const write = (as: string, text: string): void => {
    const draft = join(COMPILED_DIRECTORY, `${as}.${process.pid}`);
    writeFileSync(draft, text);
    renameSync(draft, join(COMPILED_DIRECTORY, as));
  };
  write(`${file}.map`, JSON.stringify(withPaths(JSON.parse(map) as SourceMapPayload)));
  write(file, code);
  const made: CompiledRecord = { file, node: process.version, stamps: Object.fromEntries(stamps) };
  write(basename(record), JSON.stringify(made));
  for (const old of readdirSync(COMPILED_DIRECTORY)) {
    if (old.startsWith(`${name}-`) && !old.startsWith(file)) rmSync(join(COMPILED_DIRECTORY, old), { force: true });
  }
}

/** A source map whose sources are absolute paths. */
function withPaths(map: SourceMapPayload): SourceMapPayload {
  return { ...map, sources: map.sources.map((source) => resolve(COMPILED_DIRECTORY, source)) };
}
