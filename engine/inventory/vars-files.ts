/** `group_vars/` and `host_vars/`: a file or a folder of files per group or host, beside inventories and playbooks. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { didYouMean, kindOf, type Problem, UserError } from '../errors.ts';
import { setVar, type VarSet } from './model.ts';
import { isMapping, readYaml } from './yaml.ts';
import { definitionIn } from './yaml-inventory.ts';

/** What one directory's `group_vars` or `host_vars` say: name of the group or host to its variables. */
export type VarsFolder = ReadonlyMap<string, VarSet>;

const EXTENSIONS = ['', '.yml', '.yaml', '.json'];

/** What reading a folder finds besides variables. */
export interface FolderNotes {
  readonly files: string[];
  readonly warnings: Problem[];
}

/**
 * Reads `folder` for those of `names` that it has something for.
 * @throws UserError on a file that is not a mapping, is encrypted, or has a folder of the same name beside it.
 */
export async function readVarsFolder(folder: string, names: Iterable<string>, notes: FolderNotes): Promise<VarsFolder> {
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
        notes.warnings.push({ what, hint: `did you mean "${near}"?` });
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
    for (const file of filesUnder(join(folder, first))) await readVarsFile(file, vars, notes);
    read.set(name, vars);
  }
  return read;
}

/**
 * Reads one file of variables into `vars`, which it is stronger than.
 * @throws UserError on one that cannot be read, is not a mapping or is encrypted.
 */
export async function readVarsFile(file: string, vars: VarSet, notes: FolderNotes): Promise<void> {
  const text = readText(file);
  notes.files.push(file);
  if (text.startsWith('$ANSIBLE_VAULT;')) {
    throw new UserError({
      what: 'the file is encrypted with ansible-vault, which Heartwood cannot open yet',
      at: { file, line: 1, column: 1 },
      hint: 'keep the secret in a file of its own outside the repository, and pass it with -e @file',
    });
  }
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

/** The group or host an entry is for: a folder's whole name, a file's without its extension. */
function baseName(folder: string, entry: string): string | undefined {
  if (isFolder(join(folder, entry))) return entry;
  const extension = EXTENSIONS.find((end) => end !== '' && entry.endsWith(end));
  return extension === undefined ? entry : entry.slice(0, -extension.length);
}

/** Files of variables in a folder, sorted, folders within it included; or the file itself. */
function filesUnder(path: string): string[] {
  if (!isFolder(path)) return [path];
  return entriesOf(path).flatMap((entry) => {
    const inner = join(path, entry);
    if (isFolder(inner)) return filesUnder(inner);
    return EXTENSIONS.some((end) => (end === '' ? !entry.includes('.') : entry.endsWith(end))) ? [inner] : [];
  });
}

/** A link that leads nowhere is none; that it cannot be read is said when it is. */
function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
