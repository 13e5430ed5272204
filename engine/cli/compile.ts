/**
 * Compiles a playbook, with all it imports, into one file for {@link ranCompiled}. It is compiled only where running it from
 * there cannot differ: the playbook's file is imports, declarations and one call, so that it matters to nobody that they are there twice;
 * nothing is imported by a name that is not known beforehand.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type BuildOptions, build, type Loader, type OnLoadResult, type Plugin, transform } from 'esbuild';
import { COMPILED_DIRECTORY, type CompiledRecord, PROJECT, recordPath, stampOf } from './compiled.ts';

/** Packages that go into the file, with what they import: many small modules, plain JavaScript. Others stay where they are. */
const INCLUDED = new Set(['ajv', 'diff', 'handlebars', 'p-limit', 'yaml']);

/** Has the source map leave a file out: mapping a package's lines takes longer than running them. */
const NO_MAP = `\n//# sourceMappingURL=data:application/json,${encodeURIComponent('{"version":3,"sources":[""],"mappings":"A"}')}`;

/** The folder of the package that a file is in. */
const PACKAGE = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+\//;

/** What stands for compiled.ts in a compiled file, which is neither to be run from another nor compiled again. */
const COMPILED_ALREADY =
  'export const ranCompiled = async () => false;\nexport const compileForNextTime = async () => {};';
const RUNNER = join(PROJECT, 'engine/cli/compiled.ts');

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
  const stamps = new Map(['package.json', 'tsconfig.json'].map((name) => join(PROJECT, name)).map(stamped));
  try {
    const { outputFiles = [] } = await build({
      entryPoints: [playbook],
      bundle: true,
      write: false,
      outfile: join(COMPILED_DIRECTORY, 'playbook.mjs'),
      format: 'esm',
      platform: 'node',
      target: `node${process.versions.node}`,
      sourcemap: 'external',
      sourcesContent: false,
      logLevel: 'silent',
      banner: { js: `import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);` },
      plugins: [filesOf(playbook, stamps)],
    } satisfies BuildOptions);
    const [map, code] = ['.map', '.mjs'].map((end) => outputFiles.find(({ path }) => path.endsWith(end))?.text ?? '');
    keep(playbook, code ?? '', map ?? '', stamps);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const stamped = (path: string): [string, string] => [path, stampOf(path)];

/** Loads files as they are, noting what they were before they are read, and refuses what would not be the same in another place. */
function filesOf(playbook: string, stamps: Map<string, string>): Plugin {
  return {
    name: 'files',
    setup({ onLoad, onResolve }) {
      onResolve({ filter: /^[^./]/ }, ({ path, importer }) => {
        const [name = ''] = path.split('/');
        return INCLUDED.has(name) || (!isBuiltin(path) && PACKAGE.test(importer))
          ? undefined
          : { path, external: true };
      });
      onLoad({ filter: /./ }, async ({ path }): Promise<OnLoadResult> => {
        const [ofPackage] = PACKAGE.exec(path) ?? [];
        const source = ofPackage === undefined ? path : `${ofPackage}package.json`;
        if (!stamps.has(source)) stamps.set(source, stampOf(source));
        const text = path === RUNNER ? COMPILED_ALREADY : readFileSync(path, 'utf8');
        const loader = LOADERS[extname(path)];
        if (ofPackage !== undefined)
          return { contents: extname(path) === '.json' ? text : text + NO_MAP, loader: loader ?? 'js' };
        if (loader === undefined) throw new Error(`${path} is imported, and no module`);
        if (path === playbook && !(await isOneCall(text)))
          throw new Error(`${path} does more than to call playbook(...)`);
        return { contents: placed(text, path), loader };
      });
    },
  };
}

/** Is a playbook's file imports and declarations, then `await playbook(...)`, and nothing else? */
async function isOneCall(text: string): Promise<boolean> {
  const { code } = await transform(text, { loader: 'ts', format: 'esm' });
  // As esbuild prints it, what begins a line is a statement's first word or its last bracket.
  const statements = code.split('\n').filter((line) => /^[^\s)}\]`]/.test(line));
  const others = statements.filter((line) => !/^(import|const|let|var|function|async function|class)\b/.test(line));
  // An answer that is waited for might be a person's.
  return others.length === 1 && /^await playbook\(/.test(others[0] ?? '') && code.split(/\bawait\b/).length === 2;
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
  const file = `${name}-${createHash('sha256').update(code).digest('hex').slice(0, 16)}.mjs`;
  mkdirSync(COMPILED_DIRECTORY, { recursive: true });
  const write = (as: string, text: string): void => {
    const draft = join(COMPILED_DIRECTORY, `${as}.${process.pid}`);
    writeFileSync(draft, text);
    renameSync(draft, join(COMPILED_DIRECTORY, as));
  };
  write(`${file}.map`, map);
  write(file, `${code}//# sourceMappingURL=${file}.map\n`);
  const made: CompiledRecord = { file, node: process.version, stamps: Object.fromEntries(stamps) };
  write(basename(record), JSON.stringify(made));
  for (const old of readdirSync(COMPILED_DIRECTORY)) {
    if (old.startsWith(`${name}-`) && old.endsWith('.mjs') && old !== file) {
      rmSync(join(COMPILED_DIRECTORY, old), { force: true });
      rmSync(join(COMPILED_DIRECTORY, `${old}.map`), { force: true });
    }
  }
}
