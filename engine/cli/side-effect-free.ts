/**
 * Whether evaluating a module can be noticed, by its syntax tree. A compiled playbook's own modules are evaluated once, but those
 * that do without the engine twice (compiled.ts); so they may declare, and nothing else.
 */
import { type AnyNode, type Expression, type Node, type Program, parse } from 'acorn';

/** What may be called or made while a module is evaluated: nothing of it reaches beyond the module. */
const HARMLESS = ['Array', 'Boolean', 'JSON', 'Map', 'Math', 'Number', 'Object', 'RegExp', 'Set', 'String', 'URL'];

/** But these of theirs, which change what they are given. */
const CHANGES = new Set(['assign', 'defineProperties', 'defineProperty', 'setPrototypeOf']);

/** Node's modules whose functions put values together, and do nothing else. */
const HARMLESS_MODULES = ['node:path', 'node:url'];

/** What names of a module stand for: their expression, or `harmless`, which may be called. */
type Names = ReadonlyMap<string, Expression | 'harmless'>;

/** A module's JavaScript as a tree. */
export function treeOf(code: string): Program {
  return parse(code, { ecmaVersion: 'latest', sourceType: 'module' });
}

/** Does a module import and declare, and call nothing that could reach beyond it? */
export function onlyDeclares(program: Program): boolean {
  const declared = new Map<string, Expression | 'harmless'>(HARMLESS.map((name) => [name, 'harmless']));
  for (const statement of program.body) {
    if (statement.type === 'ImportDeclaration' && HARMLESS_MODULES.includes(String(statement.source.value))) {
      for (const { local } of statement.specifiers) declared.set(local.name, 'harmless');
    }
    const declaration = 'declaration' in statement && statement.declaration ? statement.declaration : statement;
    if (declaration.type !== 'VariableDeclaration') continue;
    for (const { id, init } of declaration.declarations)
      if (id.type === 'Identifier' && init) declared.set(id.name, init);
  }
  return program.body.every((statement) => isQuiet(statement, declared));
}

/**
 * The last statement of a playbook, `await playbook(...)`, where that is the only thing it waits for; undefined otherwise. Before it
 * may stand what a module of the engine's may hold.
 */
export function lastCall(program: Program): Node | undefined {
  const last = program.body.at(-1);
  if (last?.type !== 'ExpressionStatement' || last.expression.type !== 'AwaitExpression') return undefined;
  const call = last.expression.argument;
  const calls = call.type === 'CallExpression' && call.callee.type === 'Identifier' && call.callee.name === 'playbook';
  return calls && waitsIn(program) === 1 ? last : undefined;
}

/** How often a module waits for something while it is evaluated. */
function waitsIn(node: AnyNode): number {
  if (isFunction(node)) return 0;
  const own = node.type === 'AwaitExpression' || (node.type === 'ForOfStatement' && node.await) ? 1 : 0;
  return childrenOf(node).reduce((sum, child) => sum + waitsIn(child), own);
}

function isFunction({ type }: AnyNode): boolean {
  return type === 'FunctionDeclaration' || type === 'FunctionExpression' || type === 'ArrowFunctionExpression';
}

function childrenOf(node: AnyNode): readonly AnyNode[] {
  return Object.values(node)
    .flat()
    .filter((value): value is AnyNode => typeof value === 'object' && value !== null && 'type' in value);
}

/** Can evaluating this be noticed by nobody? What functions do counts where they are called. */
function isQuiet(node: AnyNode, declared: Names): boolean {
  if (isFunction(node)) return true;
  switch (node.type) {
    case 'CallExpression':
      if (!mayBeCalled(node.callee, declared) || !node.arguments.every((each) => mayBeCalledBack(each, declared)))
        return false;
      break;
    case 'NewExpression':
      if (node.callee.type !== 'Identifier' || declared.get(node.callee.name) !== 'harmless') return false;
      break;
    case 'TaggedTemplateExpression':
    case 'AwaitExpression':
    case 'AssignmentExpression':
    case 'UpdateExpression':
    case 'ImportExpression':
    case 'StaticBlock':
    case 'ThrowStatement':
      return false;
    case 'UnaryExpression':
      if (node.operator === 'delete') return false;
      break;
    default:
  }
  return childrenOf(node).every((child) => isQuiet(child, declared));
}

/** `Object.entries()`, a method of what was made just now, and functions of this module that only put an expression together. */
function mayBeCalled(callee: AnyNode, declared: Names): boolean {
  if (callee.type === 'Identifier') return isHarmless(callee.name, declared);
  if (callee.type !== 'MemberExpression' || callee.property.type !== 'Identifier') return false;
  const { object, property } = callee;
  if (object.type === 'Identifier') return declared.get(object.name) === 'harmless' && !CHANGES.has(property.name);
  return ['ArrayExpression', 'CallExpression', 'Literal', 'TemplateLiteral'].includes(object.type);
}

function isHarmless(name: string, declared: Names): boolean {
  const own = declared.get(name);
  return own === 'harmless' || (own !== undefined && onlyPutsTogether(own, without(declared, name)));
}

/** What is called is given this, and may call it in turn. What a name from elsewhere stands for is not known here. */
function mayBeCalledBack(argument: AnyNode, declared: Names): boolean {
  if (isFunction(argument)) return onlyPutsTogether(argument, declared);
  if (argument.type !== 'Identifier') return true;
  const own = declared.get(argument.name);
  return own !== undefined && (own === 'harmless' || !isFunction(own) || isHarmless(argument.name, declared));
}

/** Is it a function of one expression, and that a quiet one? */
function onlyPutsTogether(node: AnyNode, declared: Names): boolean {
  return node.type === 'ArrowFunctionExpression' && node.expression && isQuiet(node.body, declared);
}

/** So that a function that calls itself is looked at once, and refused. */
function without<V>(map: ReadonlyMap<string, V>, name: string): ReadonlyMap<string, V> {
  return new Map([...map].filter(([key]) => key !== name));
}
