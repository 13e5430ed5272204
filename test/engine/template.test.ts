import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import t from 'tap';
import { parse } from 'yaml';
import { UserError } from '../../engine/errors.ts';
import { clearProjectFiles } from '../../engine/project-files.ts';
import { Secret, SecretText } from '../../engine/secret.ts';
import { template, templateText } from '../../engine/template.ts';

const data = {
  address: '10.0.0.1',
  port: 6443,
  off: false,
  unset: undefined,
  empty: [],
  list: ['a', 'b'],
  map: { k: 'v', flag: 'yes', mode: '0644' },
  nested: { inner: { port: 1 } },
};

const render = (text: string, values: Readonly<Record<string, unknown>> = data): string =>
  String(templateText(text, 'templates/x.hbs')(values));

const refusal = (text: string, values: Readonly<Record<string, unknown>> = data): string => {
  try {
    return `rendered: ${render(text, values)}`;
  } catch (error) {
    return error instanceof UserError ? error.message : `not a UserError: ${String(error)}`;
  }
};

t.test('what templates can say', async (t) => {
  const rows: readonly (readonly [string, string, string])[] = [
    ['a value', 'server: {{address}}:{{port}}', 'server: 10.0.0.1:6443'],
    ['false is a text', '{{off}}', 'false'],
    ['a path', '{{nested.inner.port}}', '1'],
    ['an index', '{{list.[1]}} of {{list.length}}', 'b of 2'],
    ['if, else if, else', '{{#if off}}1{{else if port}}2{{else}}3{{/if}}', '2'],
    ['unless', '{{#unless off}}on{{/unless}}', 'on'],
    ['with', '{{#with nested.inner}}{{port}}{{../port}}{{/with}}', '16443'],
    ['each over a list', '{{#each list}}{{@index}}{{this}}{{#unless @last}},{{/unless}}{{/each}}', '0a,1b'],
    ['each over a mapping', '{{#each map}}{{@key}}={{this}};{{/each}}', 'k=v;flag=yes;mode=0644;'],
    ['each with names', '{{#each list as |item i|}}{{i}}{{item}}{{/each}}', '0a1b'],
    ['each of nothing', '{{#each empty}}x{{else}}none{{/each}}', 'none'],
    ['what is around a loop', '{{#each list}}{{../port}}{{@root.off}} {{/each}}', '6443false 6443false '],
    ['a line with only a block leaves no line', 'a\n{{#if port}}\nb\n{{/if}}\nc\n', 'a\nb\nc\n'],
    ['a comment', 'a{{! not shown }}b', 'ab'],
    ['nothing is HTML-escaped', '{{x}}', '<&"\'>'],
    ['default for a name that is missing', '{{default nope 3}}', '3'],
    ['default for a name without value', '{{default unset "d"}}', 'd'],
    ['default leaves false alone', '{{default off true}}', 'false'],
    ['defined', '{{#if (defined nope)}}y{{else}}n{{/if}}{{#if (defined off)}}y{{/if}}', 'ny'],
    ['join', '{{join list ", "}}', 'a, b'],
    ['indent', 'x:\n{{indent text 2}}', 'x:\n  one\n\n  two'],
    ['json', '{{json map}}', '{"k":"v","flag":"yes","mode":"0644"}'],
    ['toYaml quotes what YAML 1.1 would take for something else', '{{toYaml map}}', 'k: v\nflag: "yes"\nmode: "0644"'],
    ['helpers inside helpers', '{{join (default nope list) "-"}}', 'a-b'],
  ];
  for (const [name, text, wanted] of rows) {
    t.equal(render(text, { ...data, x: '<&"\'>', text: 'one\n\ntwo' }), wanted, name);
  }
});

t.test('a missing name is an error with its position, everywhere', async (t) => {
  const rows: readonly (readonly [string, string])[] = [
    ['a\n b {{nope}}', '2:6: "nope" is not defined'],
    ['x\n{{#if nope}}{{/if}}', '2:7: "nope" is not defined'],
    ['{{#unless nope}}{{/unless}}', '1:11: "nope" is not defined'],
    ['{{#each nope}}{{/each}}', '1:9: "nope" is not defined'],
    ['{{#with nope}}{{/with}}', '1:9: "nope" is not defined'],
    ['{{join nope ","}}', '1:8: "nope" is not defined'],
    ['{{join list nope}}', '1:13: "nope" is not defined'],
    ['{{default off nope}}', '1:15: "nope" is not defined'],
    ['{{#if (defined (join nope))}}{{/if}}', '1:22: "nope" is not defined'],
    ['{{nested.outer.port}}', '1:3: "nested.outer.port" is not defined'],
    ['{{#each list}}{{../nope}}{{/each}}', '1:17: "../nope" is not defined'],
    ['{{#each list}}{{@nope}}{{/each}}', '1:17: "@nope" is not defined'],
    ['{{constructor}}', '1:3: "constructor" is not defined'],
    ['{{nested.__proto__}}', '1:3: "nested.__proto__" is not defined'],
    ['{{address.length}}', '1:3: "address.length" is not defined'],
    ['{{list.map}}', '1:3: "list.map" is not defined'],
    ['{{unset}}', '1:3: "unset" has no value'],
    ['{{#if unset}}{{/if}}', '1:7: "unset" has no value'],
    ['{{json unset}}', '1:8: "unset" has no value'],
    ['{{map}}', '1:3: "map" cannot be written: it is a mapping, which has no text'],
    ['{{list}}', '1:3: "list" cannot be written: it is a list, which has no text'],
    ['{{#each address}}{{/each}}', '1:9: {{#each}} needs a list or a mapping, and "address" is text'],
    ['{{join address ","}}', '1:3: join needs a list, and got text'],
    ['{{indent address "x"}}', '1:3: indent needs a number of columns: {{indent text 4}}'],
    ['{{jsom map}}', '1:3: unknown helper "jsom"'],
    ['{{json}}', '1:3: {{json}} has the wrong arguments'],
    ['{{#iff off}}{{/iff}}', '1:4: unknown block "iff"'],
    ['{{> other}}', '1:1: partials are not supported in templates'],
    ['a\n{{#if off}}\n', '3:1: not a template: a {{ or a block is not closed'],
    ['{{#if off}}\n{{/each}}', "1:4: not a template: if doesn't match each"],
    ['{{/if}}', '1:1: not a template: a block is closed that was not opened'],
  ];
  for (const [text, wanted] of rows) {
    t.equal(refusal(text).split('\n')[0], `templates/x.hbs:${wanted}`, text);
  }
  t.equal(
    refusal('{{adress}}', { address: 'x', port: 1 }),
    'templates/x.hbs:1:3: "adress" is not defined\n  allowed: address, port\n  try: did you mean "address"?',
    'with what there is, and a suggestion',
  );
});

t.test('a template in a file is read once a run, and named as a person would', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hw-template-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'x.conf.hbs');
  const byUrl = template(pathToFileURL(file));
  writeFileSync(file, 'port={{port}}\n{{nope}}\n');
  t.throws(() => byUrl(data), { message: new RegExp(`^${file}:2:3: "nope" is not defined`) });
  writeFileSync(file, 'port={{port}}\n');
  t.throws(() => template(file)(data), /nope/, 'another template() of the same file, in the same run');
  clearProjectFiles();
  t.equal(template(file)(data), 'port=6443\n');
  writeFileSync(file, 'address={{address}}\n');
  t.equal(byUrl(data), 'port=6443\n');
  clearProjectFiles();
  t.match(byUrl(data), /^address=/);
});

t.test('secrets stay closed', async (t) => {
  const token = new Secret('s3"cret\n${x}');
  const values = { token, list: ['a', token], map: { name: 'node', token }, text: new SecretText(['key=', token]) };
  const rows: readonly (readonly [string, string, string])[] = [
    ['alone', '{{token}}', token.reveal()],
    ['in text', 'token: {{token}}.', `token: ${token.reveal()}.`],
    ['as json', '{"t": {{json token}} }', `{"t": ${JSON.stringify(token.reveal())} }`],
    ['in a json list', '{{json list}}', JSON.stringify(['a', token.reveal()])],
    ['joined', '{{join list ","}}', `a,${token.reveal()}`],
    ['indented', '{{indent token 2}}', '  s3"cret\n  ${x}'],
    ['in a loop', '{{#each map}}{{this}} {{/each}}', `node ${token.reveal()} `],
    ['as a default', '{{default nope token}}', token.reveal()],
    ['a text that holds one', '{{text}}', `key=${token.reveal()}`],
    ['such a text as json', '{{json text}}', JSON.stringify(`key=${token.reveal()}`)],
  ];
  for (const [name, text, wanted] of rows) {
    const rendered = templateText(text, 'x')(values);
    if (!(rendered instanceof SecretText)) throw new Error(`${name}: not a SecretText`);
    t.equal(rendered.reveal(), wanted, name);
    t.notMatch(String(rendered), /cret/, `${name}: shown without it`);
    t.match(String(rendered), /\*\*\*/, `${name}: and with *** in its place`);
  }
  const yaml = templateText('cfg:\n{{indent (toYaml map) 2}}\n', 'x')(values);
  if (!(yaml instanceof SecretText)) throw new Error('toYaml: not a SecretText');
  t.same(parse(yaml.reveal()), { cfg: { name: 'node', token: token.reveal() } }, 'toYaml writes any secret correctly');
  t.equal(String(yaml), 'cfg:\n  name: node\n  token: "***"\n');
  t.type(
    templateText('{{#if token}}set{{/if}}', 'x')(values),
    'string',
    'a secret that is only asked about is not in the text',
  );
});

t.test('json and toYaml write every value so that YAML reads it back', async (t) => {
  const scalar = fc.oneof(fc.string({ unit: 'grapheme' }), fc.integer(), fc.boolean());
  const value = fc.dictionary(fc.stringMatching(/^[a-z_]{1,8}$/), fc.oneof(scalar, fc.array(scalar)));
  fc.assert(
    fc.property(value, (v) => {
      const inJson = render('x: {{json v}}\n', { v });
      t.same(parse(inJson), { x: v });
      const inYaml = render('x:\n{{indent (toYaml v) 2}}\n', { v });
      if (Object.keys(v).length > 0 && !/[\n\r\u2028\u2029]/.test(JSON.stringify(v))) {
        t.same(parse(inYaml, { version: '1.1' }), { x: v });
      }
    }),
    { numRuns: 100 },
  );
});

t.test('a secret comes out of a template exactly as it went in', async (t) => {
  const check = fc.check(
    fc.property(fc.string({ minLength: 1 }), fc.string(), (plain, around) => {
      const rendered = templateText('{{around}}{{s}}{{around}}{{json s}}', 'x')({ around, s: new Secret(plain) });
      const wanted = `${around}${plain}${around}${JSON.stringify(plain)}`;
      return rendered instanceof SecretText && rendered.reveal() === wanted;
    }),
  );
  t.notOk(check.failed, `seed ${check.seed}: ${JSON.stringify(check.counterexample)}`);
});
