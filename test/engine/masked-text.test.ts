/**
 * What is executed is never made from what is shown. `sh` refuses masked text by its type. A template literal, `+` and
 * `String()` turn a secret into `***` without a word, in whatever they are part of: this looks for them in the source,
 * with the compiler's types.
 */
import { join, relative } from 'node:path';
import t from 'tap';
import ts from 'typescript';
import { sh } from '../../engine/script.ts';
import { mask, Secret } from '../../engine/secret.ts';
import { REPOSITORY } from '../support/program.ts';

/** Types whose text is masked when they become part of a string. */
const MASKED_AS_TEXT = ['Script', 'Secret', 'SecretText'];

/** Where that is meant. */
const SHOWN_ONLY = [
  // The text for people, of the types themselves.
  'engine/script.ts: shown',
  'engine/secret.ts: [inspect.custom]',
  'engine/secret.ts: toJSON',
  'engine/secret.ts: toString',
  // `--diff`.
  'engine/resources/file-diff.ts: to',
  // It joins words among which is no secret.
  'engine/inventory/reference.ts: resolveText',
];

/** Every place in the project's own source where a value of these types becomes part of a string: `file: function`. */
function conversions(program: ts.Program): readonly string[] {
  const checker = program.getTypeChecker();
  const isMaskedAsText = (type: ts.Type): boolean => {
    if (type.isUnionOrIntersection()) return type.types.some(isMaskedAsText);
    // The class itself, as in `Script.join`.
    if (type.getConstructSignatures().length > 0) return false;
    const element = checker.getIndexTypeOfType(type, ts.IndexKind.Number);
    if (checker.isArrayType(type) && element) return isMaskedAsText(element);
    return MASKED_AS_TEXT.includes(type.symbol?.name ?? '') && fileOf(type.symbol).startsWith('engine/');
  };
  const fileOf = (symbol: ts.Symbol): string =>
    relative(REPOSITORY, symbol.declarations?.[0]?.getSourceFile().fileName ?? '');
  const holds = (node: ts.Expression): boolean => isMaskedAsText(checker.getTypeAtLocation(node));
  const found: string[] = [];
  const visit = (node: ts.Node, place: string): void => {
    const name = ts.isFunctionLike(node) || ts.isVariableDeclaration(node) ? node.name?.getText() : undefined;
    const here = name ? `${relative(REPOSITORY, node.getSourceFile().fileName)}: ${name}` : place;
    if (textParts(node).some(holds)) found.push(here);
    ts.forEachChild(node, (child) => visit(child, here));
  };
  for (const file of program.getSourceFiles()) {
    if (!file.isDeclarationFile && !file.fileName.includes('/node_modules/'))
      visit(file, relative(REPOSITORY, file.fileName));
  }
  return [...new Set(found)].sort();
}

/** What an expression puts into a string. */
function textParts(node: ts.Node): readonly ts.Expression[] {
  if (ts.isTemplateExpression(node) && !ts.isTaggedTemplateExpression(node.parent))
    return node.templateSpans.map(({ expression }) => expression);
  if (
    ts.isBinaryExpression(node) &&
    [ts.SyntaxKind.PlusToken, ts.SyntaxKind.PlusEqualsToken].includes(node.operatorToken.kind)
  )
    return [node.left, node.right];
  if (!ts.isCallExpression(node)) return [];
  const { expression } = node;
  if (ts.isIdentifier(expression) && expression.text === 'String') return node.arguments;
  // `map(String)`
  const [callback] = node.arguments;
  if (!ts.isPropertyAccessExpression(expression)) return [];
  if (callback && ts.isIdentifier(callback) && callback.text === 'String') return [expression.expression];
  return ['toString', 'join', 'concat'].includes(expression.name.text) ? [expression.expression] : [];
}

/** The project's program, with `text` as one more file of it. */
function programWith(text: string): ts.Program {
  const { config } = ts.readConfigFile(join(REPOSITORY, 'tsconfig.json'), ts.sys.readFile);
  const include = ['engine', 'roles', 'playbooks', 'scripts'];
  const { options, fileNames } = ts.parseJsonConfigFileContent({ ...config, include }, ts.sys, REPOSITORY);
  const extra = join(REPOSITORY, 'roles/masked-text-example.ts');
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (name) => name === extra || fileExists(name);
  host.readFile = (name) => (name === extra ? text : readFile(name));
  host.getSourceFile = (name, ...rest) =>
    name === extra ? ts.createSourceFile(name, text, ts.ScriptTarget.ES2022, true) : getSourceFile(name, ...rest);
  return ts.createProgram([...fileNames, extra], options, host);
}

const EXAMPLE = `
import { Script, Secret, SecretText, sh } from '../engine/index.ts';
import { mask } from '../engine/secret.ts';
const secret: Secret | undefined = new Secret('x');
export const template = () => sh\`echo \${\`--password=\${secret}\`}\`;
export const plus = () => 'a' + secret;
export const called = (of: string | SecretText) => String(of);
export const mapped = (of: readonly Secret[]) => of.map(String);
export const joined = (of: readonly (string | Secret)[]) => of.join();
export const converted = (of: Script) => of.toString();
export const right = () => sh\`echo \${secret ?? ''} \${sh\`true\`}\`;
export const refused = [sh\`echo \${sh\`true\`.shown}\`, sh\`echo \${mask('x')}\`, Script.raw(mask('x'))];
`;

t.test('a secret becomes text only where it is shown', async (t) => {
  const program = programWith(EXAMPLE);
  const file = 'roles/masked-text-example.ts';
  const own = conversions(program);
  t.strictSame(
    own.filter((place) => place.startsWith(file)),
    ['called', 'converted', 'joined', 'mapped', 'plus', 'template'].map((name) => `${file}: ${name}`),
    'such places are found',
  );
  t.strictSame(
    own.filter((place) => !place.startsWith(file)),
    [...SHOWN_ONLY].sort(),
    'and there are no others; one that only shows the text belongs into SHOWN_ONLY',
  );
  const extra = program.getSourceFile(join(REPOSITORY, file));
  t.match(
    program.getSemanticDiagnostics(extra).map(({ code, start }) => [code, EXAMPLE.slice(0, start).split('\n').length]),
    [
      [2345, 12],
      [2345, 12],
      [2345, 12],
    ],
    'masked text is no argument of a script',
  );
});

t.test('a script in ordinary text is refused when that runs', async (t) => {
  const script = sh`echo ${new Secret('open-5esame')}`;
  t.throws(() => `${script}`, /write sh`\.\.\.` to make it part of a script, \.shown to show it/);
  t.equal(script.shown, "echo '***'");
  t.equal(mask(script.reveal()), 'echo ***');
});
