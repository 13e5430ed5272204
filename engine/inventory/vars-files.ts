/** `group_vars/` and `host_vars/`: a file or a folder of files per group or host, beside inventories and playbooks. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { didYouMean, kindOf, type Problem, UserError } from '../errors.ts';
import { setVar, type VarSet } from './model.ts';
import { isMapping, readYaml } from './yaml.ts';
import { definitionIn } from './yaml-inventory.ts';
import { isVaultText, vaultProblem } from './yaml-tags.ts';

/** The variables in a `group_vars` or `host_vars`, by name of the group or host. */
export type VarsByName = ReadonlyMap<string, VarSet>;

const EXTENSIONS = ['', '.yml', '.yaml', '.json'];

/** What loading an inventory gathers besides hosts and variables: the files that were read, and warnings. */
export interface ReadLog {
  readonly files: string[];
  readonly warnings: Problem[];
}

/**
 * Reads the variables that `folder` has for `names`.
 * @throws UserError on a file that is not a mapping, is encrypted, or has a folder of the same name beside it.
 */
export async function readVarsFolder(folder: string, names: Iterable<string>, log: ReadLog): Promise<VarsByName> {
  const read = new Map<string, VarSet>();
  const entries = entriesOf(folder);
  if (entries.length === 0) return read;
  const wanted = new Set(names);
  const byName = new Map<string, string[]>();
  for (const entry of entries) {
    const name = baseName(folder, entry);
    if (name === undefined) continue;
    if (wanted.has(name)) byName.set(name, [...(byName.get(name) ?? []), entry]);
    else if (!entry.endsWith('.md') && name !== 'schema') {
      const near = didYouMean(name, wanted);
      if (near !== undefined) {
        const what = `${join(folder, entry)} belongs to no group or host of this inventory`;
        log.warnings.push({ what, hint: `did you mean "${near}"?` });
      }
    }
  }
  for (const [name, [first, second]] of byName) {
    if (first === undefined) continue;
    if (second !== undefined) {
      throw new UserError({
        what: `${join(folder, first)} and ${join(folder, second)} are both there, and Ansible reads only one of them`,
        hint: 'put everything into one of them',
      });
    }
    const vars: VarSet = new Map();
    for (const file of filesUnder(join(folder, first))) await readVarsFile(file, vars, log);
    read.set(name, vars);
  }
  return read;
}

/**
 * Adds the variables of one file to `vars`, where they win over what is there.
 * @throws UserError on a file that cannot be read, is not a mapping or is encrypted.
 */
export async function readVarsFile(file: string, vars: VarSet, log: ReadLog): Promise<void> {
  const text = readText(file);
  log.files.push(file);
  if (isVaultText(text)) throw new UserError(vaultProblem('the file', { file, line: 1, column: 1 }));
  const { value, at } = await readYaml(text, file);
  if (value === null) return;
  if (!isMapping(value)) {
    throw new UserError({
      what: `a file of variables is a mapping; this is ${kindOf(value)}`,
      at,
      expected: 'name: value',
    });
  }
  for (const name of Object.keys(value)) setVar(vars, name, definitionIn(value, name, file, at));
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new UserError({ what: `the variables in ${file} cannot be read (${why})`, hint: `ls -lL ${file}` });
  }
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((entry) => !entry.startsWith('.') && !entry.endsWith('~'))
      .sort();
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return [];
    throw error;
  }
}

/** The group or host that an entry is for: the name of a folder, or that of a file without its extension. */
function baseName(folder: string, entry: string): string | undefined {
  if (isFolder(join(folder, entry))) return entry;
  const extension = EXTENSIONS.find((end) => end !== '' && entry.endsWith(end));
  return extension === undefined ? entry : entry.slice(0, -extension.length);
}

/** Every file of variables below a folder, sorted; or the file itself. */
function filesUnder(path: string): string[] {
  if (!isFolder(path)) return [path];
  return entriesOf(path).flatMap((entry) => {
    const inner = join(path, entry);
    if (isFolder(inner)) return filesUnder(inner);
    return EXTENSIONS.some((end) => (end === '' ? !entry.includes('.') : entry.endsWith(end))) ? [inner] : [];
  });
}

/** False for a broken link, which is an error when it is read as a file. */
function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
