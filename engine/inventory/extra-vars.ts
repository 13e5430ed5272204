/** `-e`: variables of the command line, stronger than all others. */
import { statSync } from 'node:fs';
import { UserError } from '../errors.ts';
import { setVar, type VarSet } from './model.ts';
import { splitWords } from './shlex.ts';
import { type FolderNotes, readVarsFile } from './vars-files.ts';
import { isMapping, readYaml } from './yaml.ts';

/**
 * Reads the arguments of `-e`, later ones stronger: `name=value name="a b"` (values are text), a JSON or YAML mapping
 * (`{"a": 1}`), or `@file`.
 * @throws UserError on anything else.
 */
export async function readExtraVars(args: readonly string[], notes: FolderNotes): Promise<VarSet> {
  const vars: VarSet = new Map();
  for (const arg of args) {
    const text = arg.trim();
    if (text.startsWith('@')) await readFile(text.slice(1), vars, notes);
    else if (text.startsWith('{') || text.startsWith('[')) await readMapping(text, vars);
    else readPairs(text, vars);
  }
  return vars;
}

const ALLOWED = '-e name=value, -e \'{"name": value}\' or -e @file';

async function readFile(file: string, vars: VarSet, notes: FolderNotes): Promise<void> {
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory() ?? true) {
    throw new UserError({ what: `-e @${file}: there is no such file`, expected: ALLOWED });
  }
  await readVarsFile(file, vars, notes);
}

async function readMapping(text: string, vars: VarSet): Promise<void> {
  const { value } = await readYaml(text, '-e');
  if (!isMapping(value)) throw new UserError({ what: `-e ${text}: not a mapping`, expected: ALLOWED });
  for (const [name, each] of Object.entries(value)) setVar(vars, name, { value: each, at: undefined, source: '-e' });
}

function readPairs(text: string, vars: VarSet): void {
  const words = splitWords(text, 'none');
  if ('wrong' in words) throw new UserError({ what: `-e ${text}: ${words.wrong}`, expected: ALLOWED });
  for (const { text: word } of words) {
    const equals = word.indexOf('=');
    if (equals < 1) throw new UserError({ what: `-e ${word}: no variable is set`, expected: ALLOWED });
    const value = word.slice(equals + 1);
    setVar(vars, word.slice(0, equals), { value, at: undefined, source: '-e', text: value, untyped: true });
  }
}
