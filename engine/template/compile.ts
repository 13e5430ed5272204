/**
 * Handlebars' own parser, and a renderer that is strict everywhere: Handlebars' `strict` stays silent where a missing name
 * stands in `{{#if}}`, `{{#each}}` or a helper's arguments. The renderer makes no code, knows no partials and no prototypes.
 */
import { didYouMean, InvalidValue, kindOf, type Position } from '../errors.ts';
import { handlebarsParser } from '../lazy-packages.ts';
import { Secret, SecretText } from '../secret.ts';
import type { Render } from '../template.ts';
import { HELPERS, HelperError, textOf } from './helpers.ts';
import { Scope } from './scope.ts';
import { SecretWords } from './secrets.ts';

type Program = hbs.AST.Program;
type Node = hbs.AST.Node;

const parsed = new Map<string, Program>();

/**
 * A template from its text, parsed at once and once per text. `file` names it in messages.
 * @throws WrongValue on a syntax error.
 */
export function compileTemplate(text: string, file: string): Render {
  let program = parsed.get(text);
  if (!program) {
    program = parse(text, file);
    parsed.set(text, program);
  }
  const root = program;
  return (data) => {
    const words = new SecretWords();
    return words.finish(new Renderer(file, words).program(root, Scope.of(data)));
  };
}

function parse(text: string, file: string): Program {
  try {
    return handlebarsParser().parse(text);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new InvalidValue({ what: `not a template: ${syntaxMessage(error.message)}`, at: syntaxPlace(error, file) });
  }
}

/** Handlebars says `Parse error on line 2:`, a drawing, and what it expected; the last line is for people. */
function syntaxMessage(message: string): string {
  const [, got] = /, got '([^']*)'$/.exec(message) ?? [];
  if (got === 'EOF') return 'a {{ or a block is not closed';
  if (got === 'OPEN_ENDBLOCK') return 'a block is closed that was not opened';
  if (got !== undefined) return `unexpected ${got.toLowerCase().replaceAll('_', ' ')} in {{ }}`;
  return message.replace(/ - \d+:\d+$/, '');
}

function syntaxPlace(error: Error, file: string): Position {
  if ('lineNumber' in error && 'column' in error) {
    return { file, line: Number(error.lineNumber), column: Number(error.column) + 1 };
  }
  const [, line = '1'] = /on line (\d+)/.exec(error.message) ?? [];
  return { file, line: Number(line), column: 1 };
}

class Renderer {
  readonly #file: string;
  readonly #words: SecretWords;

  constructor(file: string, words: SecretWords) {
    this.#file = file;
    this.#words = words;
  }

  program(program: Program | undefined, scope: Scope): string {
    return program ? program.body.map((statement) => this.#statement(statement, scope)).join('') : '';
  }

  #statement(node: Node, scope: Scope): string {
    if (isNode(node, 'ContentStatement')) return node.value;
    if (isNode(node, 'CommentStatement')) return '';
    if (isNode(node, 'MustacheStatement')) {
      const value = this.#call(node, scope);
      return this.#guard(node.path, () => textOf(value, this.#words), `"${sourceOf(node.path)}" cannot stand here: `);
    }
    if (isNode(node, 'BlockStatement')) return this.#block(node, scope);
    throw this.#problem(node, `${node.type.replace(/Statement$/, '').toLowerCase()}s are not supported in templates`);
  }

  #block(node: hbs.AST.BlockStatement, scope: Scope): string {
    const name = node.path.original;
    if (name === 'else' || !BLOCKS.includes(name)) {
      throw this.#problem(node.path, `unknown block "${name}"`, {
        expected: BLOCKS.map((block) => `{{#${block}}}`).join(', '),
        near: didYouMean(name, BLOCKS),
      });
    }
    const [param] = node.params;
    if (!param || node.params.length > 1) throw this.#problem(node.path, `{{#${name}}} takes one value`);
    const value = this.#value(param, scope);
    if (name === 'each') return this.#each(node, value, param, scope);
    if (name === 'with') {
      const names = new Map(node.program.blockParams?.slice(0, 1).map((each) => [each, value] as const));
      return isTrue(value) ? this.program(node.program, scope.inside(value, names)) : this.program(node.inverse, scope);
    }
    const holds = isTrue(value) === (name === 'if');
    return this.program(holds ? node.program : node.inverse, scope);
  }

  #each(node: hbs.AST.BlockStatement, value: unknown, param: Node, scope: Scope): string {
    const isSecret = value instanceof Secret || value instanceof SecretText;
    if (typeof value !== 'object' || value === null || isSecret) {
      throw this.#problem(param, `{{#each}} needs a list or a mapping, and "${sourceOf(param)}" is ${kindOf(value)}`);
    }
    const items: readonly (readonly [string | number, unknown])[] = Array.isArray(value)
      ? value.map((item: unknown, i) => [i, item] as const)
      : Object.entries(value);
    if (items.length === 0) return this.program(node.inverse, scope);
    const [itemName, keyName] = node.program.blockParams ?? [];
    return items
      .map(([key, item], index) => {
        const names = new Map<string, unknown>();
        if (itemName !== undefined) names.set(itemName, item);
        if (keyName !== undefined) names.set(keyName, key);
        const loop = { index, key, first: index === 0, last: index === items.length - 1 };
        return this.program(node.program, scope.inside(item, names, loop));
      })
      .join('');
  }

  /** A helper's result, or the value of a name. */
  #call(node: hbs.AST.MustacheStatement | hbs.AST.SubExpression, scope: Scope): unknown {
    const { path, params } = node;
    if (!isNode(path, 'PathExpression')) return this.#value(path, scope);
    const named = path.parts.length === 1 && !isScoped(path) && Object.hasOwn(HELPERS, path.original);
    const helper = named ? HELPERS[path.original] : undefined;
    if (!helper) {
      if (params.length === 0 && !isNode(node, 'SubExpression')) return this.#value(path, scope);
      throw this.#problem(path, `unknown helper "${path.original}"`, {
        expected: Object.values(HELPERS)
          .map(({ usage }) => `{{${usage}}}`)
          .join(', '),
        near: didYouMean(path.original, Object.keys(HELPERS)),
      });
    }
    if (params.length < helper.least || params.length > helper.most || (node.hash?.pairs.length ?? 0) > 0) {
      throw this.#problem(path, `{{${path.original}}} is used wrongly`, { expected: `{{${helper.usage}}}` });
    }
    const args = params.map((param, i) => this.#value(param, scope, i === 0 && helper.forgiving));
    return this.#guard(path, () => helper.run(args, this.#words), '');
  }

  #value(node: Node, scope: Scope, forgiving = false): unknown {
    if (isNode(node, 'SubExpression')) return this.#call(node, scope);
    if (isNode(node, 'StringLiteral') || isNode(node, 'NumberLiteral') || isNode(node, 'BooleanLiteral')) {
      return node.value;
    }
    if (isNode(node, 'NullLiteral') || isNode(node, 'UndefinedLiteral')) return undefined;
    if (!isNode(node, 'PathExpression')) throw this.#problem(node, `${node.type} is not supported in templates`);
    const { data, depth, parts } = node;
    const { value, known } = scope.lookup({ data, depth, parts, scoped: isScoped(node) });
    if (value !== undefined || forgiving) return value;
    if (known.includes(parts.at(-1) ?? '')) {
      const { line, column } = node.loc.start;
      throw new InvalidValue({
        what: `"${node.original}" has no value`,
        at: { file: this.#file, line, column: column + 1 },
        hint: `{{default ${node.original} "..."}} or {{#if (defined ${node.original})}}, or give it one`,
      });
    }
    throw this.#problem(node, `"${node.original}" is not defined`, {
      expected: known.length > 0 && known.length <= 20 ? known.join(', ') : undefined,
      near: didYouMean(parts.at(-1) ?? '', known),
    });
  }

  #guard<T>(node: Node, run: () => T, before: string): T {
    try {
      return run();
    } catch (error) {
      if (error instanceof HelperError) throw this.#problem(node, `${before}${error.message}`);
      throw error;
    }
  }

  #problem(
    node: Node,
    what: string,
    more: { expected?: string | undefined; near?: string | undefined } = {},
  ): InvalidValue {
    const { line, column } = node.loc.start;
    return new InvalidValue({
      what,
      at: { file: this.#file, line, column: column + 1 },
      expected: more.expected,
      hint: more.near && `did you mean "${more.near}"?`,
    });
  }
}

const BLOCKS = ['if', 'unless', 'each', 'with'];

/** The kinds of nodes, by their `type`. */
interface Nodes {
  ContentStatement: hbs.AST.ContentStatement;
  CommentStatement: hbs.AST.CommentStatement;
  MustacheStatement: hbs.AST.MustacheStatement;
  BlockStatement: hbs.AST.BlockStatement;
  SubExpression: hbs.AST.SubExpression;
  PathExpression: hbs.AST.PathExpression;
  StringLiteral: hbs.AST.StringLiteral;
  NumberLiteral: hbs.AST.NumberLiteral;
  BooleanLiteral: hbs.AST.BooleanLiteral;
  NullLiteral: hbs.AST.NullLiteral;
  UndefinedLiteral: hbs.AST.UndefinedLiteral;
}

function isNode<T extends keyof Nodes>(node: Node, type: T): node is Nodes[T] {
  return node.type === type;
}

/** `this.name` and `./name` are looked up in the data, never among helpers and block names. */
function isScoped(path: hbs.AST.PathExpression): boolean {
  return /^(this\b|\.)/.test(path.original);
}

function sourceOf(node: Node): string {
  return isNode(node, 'PathExpression') ? node.original : node.type;
}

/** Handlebars' idea of true: not false, empty, zero, an empty list. */
function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Secret || value instanceof SecretText) return value.reveal() !== '';
  return Boolean(value);
}
