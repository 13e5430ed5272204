/**
 * Handlebars' parser with a renderer of our own, which is strict everywhere: the `strict` of Handlebars accepts a
 * missing name in `{{#if}}`, `{{#each}}` and a helper's arguments. The renderer generates no code, and has no partials
 * and no prototypes.
 */
import { didYouMean, InvalidValue, kindOf, type Position } from '../errors.ts';
import { handlebarsParser } from '../lazy-packages.ts';
import { Secret, SecretText } from '../secret.ts';
import { HELPERS, HelperError, textOf } from './helpers.ts';
import { Scope } from './scope.ts';
import { SecretPlaceholders } from './secrets.ts';

/** Renders a template. A text with secrets in it is a {@link SecretText}, one without is a string. */
export type Render = (data: Readonly<Record<string, unknown>>) => string | SecretText;

type Program = hbs.AST.Program;
type Node = hbs.AST.Node;

const parsed = new Map<string, Program>();

/**
 * Compiles the text of a template. Each text is parsed once.
 * @param file Its name in messages.
 * @throws InvalidValue on a syntax error.
 */
export function compileTemplate(text: string, file: string): Render {
  let program = parsed.get(text);
  if (!program) {
    program = parse(text, file);
    parsed.set(text, program);
  }
  const root = program;
  return (data) => {
    const secrets = new SecretPlaceholders();
    return secrets.restore(new Renderer(file, secrets).program(root, Scope.of(data)));
  };
}

function parse(text: string, file: string): Program {
  try {
    return handlebarsParser().parse(text);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new InvalidValue({
      what: `not a template: ${syntaxMessage(error.message)}`,
      at: syntaxPosition(error, file),
    });
  }
}

/**
 * Handlebars' message is `Parse error on line 2:`, an excerpt, and the tokens it expected; only the last line is of
 * use.
 */
function syntaxMessage(message: string): string {
  const [, got] = /, got '([^']*)'$/.exec(message) ?? [];
  if (got === 'EOF') return 'a {{ or a block is not closed';
  if (got === 'OPEN_ENDBLOCK') return 'a block is closed that was not opened';
  if (got !== undefined) return `unexpected ${got.toLowerCase().replaceAll('_', ' ')} in {{ }}`;
  return message.replace(/ - \d+:\d+$/, '');
}

function syntaxPosition(error: Error, file: string): Position {
  if ('lineNumber' in error && 'column' in error) {
    return { file, line: Number(error.lineNumber), column: Number(error.column) + 1 };
  }
  const [, line = '1'] = /on line (\d+)/.exec(error.message) ?? [];
  return { file, line: Number(line), column: 1 };
}

class Renderer {
  readonly #file: string;
  readonly #secrets: SecretPlaceholders;

  constructor(file: string, secrets: SecretPlaceholders) {
    this.#file = file;
    this.#secrets = secrets;
  }

  program(program: Program | undefined, scope: Scope): string {
    return program ? program.body.map((statement) => this.#statement(statement, scope)).join('') : '';
  }

  #statement(node: Node, scope: Scope): string {
    if (isNode(node, 'ContentStatement')) return node.value;
    if (isNode(node, 'CommentStatement')) return '';
    if (isNode(node, 'MustacheStatement')) {
      const value = this.#call(node, scope);
      return this.#withPosition(
        node.path,
        () => textOf(value, this.#secrets),
        `"${sourceOf(node.path)}" cannot be written: `,
      );
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
    const isMet = isTrue(value) === (name === 'if');
    return this.program(isMet ? node.program : node.inverse, scope);
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

  /** The result of a helper, or the value of a name. */
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
    if (
      params.length < helper.minArguments ||
      params.length > helper.maxArguments ||
      (node.hash?.pairs.length ?? 0) > 0
    ) {
      throw this.#problem(path, `{{${path.original}}} has the wrong arguments`, { expected: `{{${helper.usage}}}` });
    }
    const args = params.map((param, i) => this.#value(param, scope, i === 0 && helper.acceptsMissing));
    return this.#withPosition(path, () => helper.run(args, this.#secrets), '');
  }

  #value(node: Node, scope: Scope, acceptsMissing = false): unknown {
    if (isNode(node, 'SubExpression')) return this.#call(node, scope);
    if (isNode(node, 'StringLiteral') || isNode(node, 'NumberLiteral') || isNode(node, 'BooleanLiteral')) {
      return node.value;
    }
    if (isNode(node, 'NullLiteral') || isNode(node, 'UndefinedLiteral')) return undefined;
    if (!isNode(node, 'PathExpression')) throw this.#problem(node, `${node.type} is not supported in templates`);
    const { data, depth, parts } = node;
    const { value, known } = scope.lookup({ data, depth, parts, scoped: isScoped(node) });
    if (value !== undefined || acceptsMissing) return value;
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

  /** An error of a helper gets the position of `node`. */
  #withPosition<T>(node: Node, run: () => T, prefix: string): T {
    try {
      return run();
    } catch (error) {
      if (error instanceof HelperError) throw this.#problem(node, `${prefix}${error.message}`);
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

/** `this.name` and `./name` are always names of the data, never helpers or names of `as |item|`. */
function isScoped(path: hbs.AST.PathExpression): boolean {
  return /^(this\b|\.)/.test(path.original);
}

function sourceOf(node: Node): string {
  return isNode(node, 'PathExpression') ? node.original : node.type;
}

/** True as Handlebars has it: false, 0, empty text and an empty list are not. */
function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Secret || value instanceof SecretText) return value.reveal() !== '';
  return Boolean(value);
}
