/** Ansible's INI inventories, by ansible-core's documentation of its `ini` inventory plugin. */
import { didYouMean, located, type Position, type Problem, UserError } from '../errors.ts';
import { expandHosts } from './host-ranges.ts';
import { type InventoryModel, setVar } from './model.ts';
import { parseLiteral } from './python-literal.ts';
import { type ShellWord, splitWords } from './shlex.ts';

/** Reads INI text into `model`. @throws UserError with every line that is wrong. */
export function readIni(text: string, file: string, model: InventoryModel): void {
  const problems: Problem[] = [];
  const reader = new IniReader(file, model, problems);
  text.split(/\r?\n/).forEach((line, i) => {
    try {
      reader.line(line, i + 1);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      problems.push(...error.problems);
    }
  });
  reader.finish();
  if (problems.length > 0) throw new UserError(problems);
}

/** A section or a line that names a group. */
interface GroupUse {
  readonly at: Position;
  readonly as: 'vars' | 'children';
  /** Of a child: the group it is listed under. */
  readonly parent: string;
}

type Section = { readonly group: string; readonly kind: 'hosts' | 'children' | 'vars' };

class IniReader {
  readonly #file: string;
  readonly #model: InventoryModel;
  readonly #problems: Problem[];
  #section: Section = { group: 'ungrouped', kind: 'hosts' };
  /** Uses of groups that are not declared yet, by group. A declaration may follow its use, as in Ansible. */
  readonly #undeclared = new Map<string, GroupUse[]>();
  readonly #declared = new Set<string>(['all', 'ungrouped']);

  constructor(file: string, model: InventoryModel, problems: Problem[]) {
    this.#file = file;
    this.#model = model;
    this.#problems = problems;
    for (const name of model.groups.keys()) this.#declared.add(name);
  }

  line(raw: string, line: number): void {
    const text = raw.trim();
    const at: Position = { file: this.#file, line, column: raw.length - raw.trimStart().length + 1 };
    if (text === '' || text.startsWith('#') || text.startsWith(';')) return;
    if (text.startsWith('[') && /^\[[^\]]*\]\s*(#.*)?$/.test(text)) this.#header(text, at);
    else if (this.#section.kind === 'hosts') this.#host(raw, at);
    else if (this.#section.kind === 'vars') this.#variable(raw, at);
    else this.#child(text, at);
  }

  #header(text: string, at: Position): void {
    const [, group, kind = 'hosts'] = /^\[([^:\]\s]+)(?::(\w+))?\]/.exec(text) ?? [];
    if (group === undefined) {
      throw new UserError({
        what: `${text} is not a section`,
        at,
        expected: '[group], [group:vars] or [group:children], without spaces',
      });
    }
    if (kind !== 'hosts' && kind !== 'vars' && kind !== 'children') {
      const near = didYouMean(kind, ['vars', 'children', 'hosts']);
      throw new UserError({
        what: `unknown section type ":${kind}"`,
        at: { ...at, column: at.column + group.length + 2 },
        expected: '[group], [group:vars] or [group:children]',
        hint: near && `did you mean [${group}:${near}]?`,
      });
    }
    this.#section = { group, kind };
    if (kind === 'vars') {
      if (!this.#declared.has(group)) this.#useUndeclared(group, { at, as: 'vars', parent: group });
      return;
    }
    this.#declared.add(group);
    this.#model.group(group, at);
    for (const use of this.#undeclared.get(group) ?? []) {
      if (use.as === 'children') this.#model.child(use.parent, group, use.at);
    }
    this.#undeclared.delete(group);
  }

  #useUndeclared(group: string, use: GroupUse): void {
    this.#undeclared.set(group, [...(this.#undeclared.get(group) ?? []), use]);
  }

  #host(raw: string, at: Position): void {
    const words = splitWords(raw);
    if ('error' in words) throw new UserError({ what: words.error, at: { ...at, column: words.column } });
    const [first, ...rest] = words;
    if (!first) return;
    if (first.text === '---') {
      throw new UserError({ what: 'this is a YAML file', at, hint: 'name it .yml, so that it is read as one' });
    }
    const { names, port } = located(() => expandHosts(first.text), at);
    const vars = rest.map((word) => ({ ...assignment(word, at), at: { ...at, column: word.column } }));
    for (const name of names) {
      const host = this.#model.host(name, this.#section.group, at, this.#file);
      // Set first, so that an ansible_port on the line wins.
      if (port !== undefined) {
        setVar(host.vars, 'ansible_port', { value: port, at, source: this.#file, text: String(port), untyped: true });
      }
      for (const { key, value, at: valueAt } of vars) {
        setVar(host.vars, key, {
          value: parseLiteral(value),
          at: valueAt,
          source: this.#file,
          text: value,
          untyped: true,
        });
      }
    }
  }

  #variable(raw: string, at: Position): void {
    const equals = raw.indexOf('=');
    const key = raw.slice(0, equals).trim();
    if (equals < 0 || key === '') {
      throw new UserError({
        what: `"${raw.trim()}" is not a variable`,
        at,
        expected: `name=value, in [${this.#section.group}:vars]`,
      });
    }
    const text = raw.slice(equals + 1).trim();
    const value = parseLiteral(text);
    const group = this.#model.group(this.#section.group, at);
    setVar(group.vars, key, { value, at, source: this.#file, text, untyped: true });
  }

  #child(text: string, at: Position): void {
    const [, child] = /^([^:\]\s]+)\s*(?:#.*)?$/.exec(text) ?? [];
    if (child === undefined) {
      throw new UserError({
        what: `"${text}" is not the name of a group`,
        at,
        expected: `one group name per line, in [${this.#section.group}:children]`,
      });
    }
    const parent = this.#section.group;
    if (this.#declared.has(child)) this.#model.child(parent, child, at);
    else this.#useUndeclared(child, { at, as: 'children', parent });
  }

  finish(): void {
    for (const [name, [use]] of this.#undeclared) {
      if (!use) continue;
      const near = didYouMean(
        name,
        [...this.#declared].filter((group) => group !== 'ungrouped' && group !== use.parent),
      );
      this.#problems.push({
        what:
          use.as === 'vars'
            ? `[${name}:vars] sets variables of a group that does not exist`
            : `[${use.parent}:children] names a group that does not exist: "${name}"`,
        at: use.at,
        expected: `groups of this inventory: ${[...this.#declared].join(', ')}`,
        hint: near ? `did you mean "${near}"?` : `declare it: [${name}]`,
      });
    }
  }
}

function assignment(word: ShellWord, at: Position): { key: string; value: string } {
  const equals = word.text.indexOf('=');
  if (equals > 0) return { key: word.text.slice(0, equals), value: word.text.slice(equals + 1) };
  throw new UserError({
    what: `"${word.text}" is not a variable of the host`,
    at: { ...at, column: word.column },
    expected: 'one host per line, then name=value pairs',
    hint: 'put a value with spaces in quotes: name="a b"',
  });
}
