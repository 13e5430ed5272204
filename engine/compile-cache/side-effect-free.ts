/**
 * Can it be noticed how often a module is evaluated? Answered from its syntax tree, for the compile cache: it evaluates
 * some modules twice. A module may declare things; what it calls meanwhile must not reach beyond it.
 */
import { type AnyNode, type Expression, type Node, type Program, parse } from 'acorn';

/** Globals whose functions and constructors have no side effects. */
const PURE_GLOBALS = ['Array', 'Boolean', 'JSON', 'Map', 'Math', 'Number', 'Object', 'RegExp', 'Set', 'String', 'URL'];

/** Functions of these that do: they change their argument. */
const MUTATING = new Set(['assign', 'defineProperties', 'defineProperty', 'setPrototypeOf']);

/** Modules of Node whose functions have no side effects. */
const PURE_MODULES = ['node:path', 'node:url'];

/** What the names of a module stand for: an expression of it, or something that may be called. */
type Names = ReadonlyMap<string, Expression | 'pure'>;

/** A module's JavaScript as a tree. */
export function treeOf(code: string): Program {
  return parse(code, { ecmaVersion: 'latest', sourceType: 'module' });
}

/** Does a module only import and declare things, and call only pure functions meanwhile? */
export function onlyDeclares(program: Program): boolean {
  const names = new Map<string, Expression | 'pure'>(PURE_GLOBALS.map((name) => [name, 'pure']));
  for (const statement of program.body) {
    if (statement.type === 'ImportDeclaration' && PURE_MODULES.includes(String(statement.source.value))) {
      for (const { local } of statement.specifiers) names.set(local.name, 'pure');
    }
    const declaration = 'declaration' in statement && statement.declaration ? statement.declaration : statement;
    if (declaration.type !== 'VariableDeclaration') continue;
    for (const { id, init } of declaration.declarations) if (id.type === 'Identifier' && init) names.set(id.name, init);
  }
  return program.body.every((statement) => hasNoEffect(statement, names));
}

/**
 * The last statement of a playbook, `await playbook(...)`; undefined where it is another, or more than this is awaited.
 */
export function lastCall(program: Program): Node | undefined {
  const last = program.body.at(-1);
  if (last?.type !== 'ExpressionStatement' || last.expression.type !== 'AwaitExpression') return undefined;
  const call = last.expression.argument;
  const calls = call.type === 'CallExpression' && call.callee.type === 'Identifier' && call.callee.name === 'playbook';
  return calls && awaitsIn(program) === 1 ? last : undefined;
}

/** How often a module awaits something while it is evaluated. */
function awaitsIn(node: AnyNode): number {
  if (isFunction(node)) return 0;
  const own = node.type === 'AwaitExpression' || (node.type === 'ForOfStatement' && node.await) ? 1 : 0;
  return childrenOf(node).reduce((sum, child) => sum + awaitsIn(child), own);
}

function isFunction({ type }: AnyNode): boolean {
  return type === 'FunctionDeclaration' || type === 'FunctionExpression' || type === 'ArrowFunctionExpression';
}

function childrenOf(node: AnyNode): readonly AnyNode[] {
  return Object.values(node)
    .flat()
    .filter((value): value is AnyNode => typeof value === 'object' && value !== null && 'type' in value);
}

/** Has evaluating this no side effect? What a function does counts where it is called. */
function hasNoEffect(node: AnyNode, names: Names): boolean {
  if (isFunction(node)) return true;
  switch (node.type) {
    case 'CallExpression':
      if (!mayBeCalled(node.callee, names) || !node.arguments.every((each) => mayBeCalledBack(each, names)))
        return false;
      break;
    case 'NewExpression':
      if (node.callee.type !== 'Identifier' || names.get(node.callee.name) !== 'pure') return false;
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
  return childrenOf(node).every((child) => hasNoEffect(child, names));
}

/** May this be called: `Object.entries`, a method of a new value, or a pure function of this module? */
function mayBeCalled(callee: AnyNode, names: Names): boolean {
  if (callee.type === 'Identifier') return isPure(callee.name, names);
  if (callee.type !== 'MemberExpression' || callee.property.type !== 'Identifier') return false;
  const { object, property } = callee;
  if (object.type === 'Identifier') return names.get(object.name) === 'pure' && !MUTATING.has(property.name);
  return ['ArrayExpression', 'CallExpression', 'Literal', 'TemplateLiteral'].includes(object.type);
}

function isPure(name: string, names: Names): boolean {
  const own = names.get(name);
  return own === 'pure' || (own !== undefined && isPureExpressionFunction(own, without(names, name)));
}

/**
 * May a called function call this argument of its own? Not a name from another module: what it stands for is not known
 * here.
 */
function mayBeCalledBack(argument: AnyNode, names: Names): boolean {
  if (isFunction(argument)) return isPureExpressionFunction(argument, names);
  if (argument.type !== 'Identifier') return true;
  const own = names.get(argument.name);
  return own !== undefined && (own === 'pure' || !isFunction(own) || isPure(argument.name, names));
}

/** `(x) => expression`, where the expression has no side effect. */
function isPureExpressionFunction(node: AnyNode, names: Names): boolean {
  return node.type === 'ArrowFunctionExpression' && node.expression && hasNoEffect(node.body, names);
}

/** A function that calls itself is refused: its name is taken out before its body is read. */
function without<V>(map: ReadonlyMap<string, V>, name: string): ReadonlyMap<string, V> {
  return new Map([...map].filter(([key]) => key !== name));
}
