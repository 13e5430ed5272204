/**
 * What the compiler knows of resources: that each is under the contract, and that editors show what each option means.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import ts from 'typescript';
import { REPOSITORY } from '../support/program.ts';

const filesIn = (folder: string): string[] =>
  readdirSync(join(REPOSITORY, folder))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(REPOSITORY, folder, name));
const resourceFiles = filesIn('engine/resources');
const exampleFiles = filesIn('test/contract/examples');

const { config } = ts.readConfigFile(join(REPOSITORY, 'tsconfig.json'), ts.sys.readFile);
const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, REPOSITORY);
const shapes = ['play', 'resource', 'role', 'task'].map((name) => join(REPOSITORY, `engine/${name}.ts`));
const program = ts.createProgram([...resourceFiles, ...exampleFiles, ...shapes], { ...options, incremental: false });
const checker = program.getTypeChecker();

function exportsOf(file: string): readonly ts.Symbol[] {
  const source = program.getSourceFile(file);
  const module = source && checker.getSymbolAtLocation(source);
  return module ? checker.getExportsOfModule(module) : [];
}

function exported(file: string, name: string): ts.Symbol {
  const symbol = exportsOf(join(REPOSITORY, file)).find((each) => each.name === name);
  if (!symbol) throw new Error(`${file} exports no ${name}`);
  return symbol;
}

const resource = checker.getDeclaredTypeOfSymbol(exported('engine/resource.ts', 'Resource'));

/** Every exported function that returns a resource, however it is written. */
function makers(): readonly ts.Symbol[] {
  return resourceFiles.flatMap(exportsOf).filter((symbol) => {
    const signatures = checker.getTypeOfSymbol(symbol).getCallSignatures();
    return signatures.some((signature) => checker.isTypeAssignableTo(signature.getReturnType(), resource));
  });
}

/** Every function that is called in the tables of examples, as the symbol that its own file exports. */
function called(): ReadonlySet<ts.Symbol> {
  const symbols = new Set<ts.Symbol>();
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) {
      const symbol = checker.getSymbolAtLocation(node.expression);
      if (symbol) symbols.add(symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol);
    }
    ts.forEachChild(node, visit);
  };
  for (const file of exampleFiles) {
    const source = program.getSourceFile(file);
    if (source) visit(source);
  }
  return symbols;
}

t.test('every function that makes a resource has an example in the contract', async (t) => {
  const names = makers().map(({ name }) => name);
  for (const name of ['file', 'ufwEnabled', 'apt', 'command', 'sysctl', 'unitRestarted'])
    t.ok(names.includes(name), name);
  t.ok(names.length >= 24, `${names.length} were found`);
  const examples = called();
  t.strictSame(
    makers()
      .filter((maker) => !examples.has(maker))
      .map(({ name }) => name),
    [],
  );
});

t.test(
  'a table of options gives types with required and optional names, and docstrings that editors show',
  async (t) => {
    const optionsOf = (file: string, name: string) => {
      const type = checker.getDeclaredTypeOfSymbol(exported(file, name));
      return type.getProperties().map((property) => {
        const isOptional = (property.flags & ts.SymbolFlags.Optional) !== 0;
        const text = ts.displayPartsToString(property.getDocumentationComment(checker));
        return [`${property.name}${isOptional ? '?' : ''}`, text] as const;
      });
    };
    const file = new Map(optionsOf('engine/resources/file.ts', 'FileOptions'));
    t.strictSame([...file.keys()].sort(), ['content', 'group?', 'mode?', 'owner?', 'path', 'validate?']);
    t.match(file.get('mode?'), /^Octal, three or four digits/);
    t.match(file.get('validate?'), /^A script that fails when the content is not valid/);

    const tables = [
      ...resourceFiles.flatMap((path) =>
        exportsOf(path)
          .filter(({ name }) => name.endsWith('Options'))
          .map(({ name }) => [path.slice(REPOSITORY.length), name] as const),
      ),
      ['engine/task.ts', 'TaskOptions'],
      ['engine/task.ts', 'Disruption'],
      ['engine/play.ts', 'PlayDeclaration'],
      ['engine/role.ts', 'RoleCallOptions'],
    ] as const;
    t.ok(tables.length > 15, `${tables.length} tables`);
    // Their names say it all.
    const plain = ['name', 'namespace', 'port', 'url', 'action'];
    const undocumented = tables.flatMap(([path, name]) =>
      optionsOf(path, name)
        .filter(([option, text]) => text === '' && !plain.includes(option.replace('?', '')))
        .map(([option]) => `${name}.${option}`),
    );
    t.strictSame(undocumented, []);
  },
);
