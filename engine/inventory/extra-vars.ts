/** `-e`: variables of the command line, which win over all others. */
import { statSync } from 'node:fs';
import { UserError } from '../errors.ts';
import { parseKeyValues } from './key-values.ts';
import { setVar, type VarSet } from './model.ts';
import { type ReadLog, readVarsFile } from './vars-files.ts';
import { isMapping, readYaml } from './yaml.ts';

/**
 * Reads the arguments of `-e`, the last one strongest: `name=value name="a b"` (values are text), a JSON or YAML
 * mapping (`{"a": 1}`), or `@file`.
 * @throws UserError on anything else.
 */
export async function readExtraVars(args: readonly string[], log: ReadLog): Promise<VarSet> {
  const vars: VarSet = new Map();
  for (const arg of args) {
    const text = arg.trim();
    if (text.startsWith('@')) await readFile(text.slice(1), vars, log);
    else if (text.startsWith('{') || text.startsWith('[')) await readMapping(text, vars);
    else readKeyValues(text, vars);
  }
  return vars;
}

const EXPECTED = '-e name=value, -e \'{"name": value}\' or -e @file';

async function readFile(file: string, vars: VarSet, log: ReadLog): Promise<void> {
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory() ?? true) {
    throw new UserError({ what: `-e @${file}: there is no such file`, expected: EXPECTED });
  }
  await readVarsFile(file, vars, log);
}

async function readMapping(text: string, vars: VarSet): Promise<void> {
  const { value } = await readYaml(text, '-e');
  if (!isMapping(value)) throw new UserError({ what: `-e ${text}: not a mapping`, expected: EXPECTED });
  for (const [name, each] of Object.entries(value)) setVar(vars, name, { value: each, at: undefined, source: '-e' });
}

function readKeyValues(text: string, vars: VarSet): void {
  for (const each of keyValuesOf(text)) {
    if ('word' in each) {
      throw new UserError({
        what: `-e ${each.word}: no variable is set`,
        expected: EXPECTED,
        hint: hintFor(each.word),
      });
    }
    const { name, value } = each;
    setVar(vars, name, { value, at: undefined, source: '-e', text: value, untyped: true });
  }
}

function keyValuesOf(text: string) {
  try {
    return parseKeyValues(text);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new UserError({ what: `-e ${text}: ${error.message}`, expected: EXPECTED });
  }
}

function hintFor(word: string): string {
  const isFile = statSync(word, { throwIfNoEntry: false })?.isFile();
  return isFile ? `for the variables of a file: -e @${word}` : 'put a value with spaces in quotes: name="a b"';
}
