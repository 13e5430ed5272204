import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { userInfo } from 'node:os';
import { inspect } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { didYouMean, formatProblem, UserError } from '../../engine/errors.ts';
import { quote, Script, sh, shellFunction } from '../../engine/script.ts';
import { Secret } from '../../engine/secret.ts';
import { differences, formatState, holds, hwKv, parseState } from '../../engine/state.ts';
import { userName } from '../../engine/user-name.ts';

/** Runs shell text under dash and gives back what it printed. */
const dash = (text: string): string => execFileSync('sh', [], { input: text, encoding: 'utf8' });

/** Lone surrogates become replacement characters, as on every way out of this process. */
const wellFormed = (text: string): string => Buffer.from(text).toString();

/** Text without NUL, which no shell argument can hold. */
const words = fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', ''));

t.test('an interpolated word reaches the command as one argument, whatever is in it', async () => {
  fc.assert(
    fc.property(words, (word) => {
      assert.equal(dash(sh`printf %s ${word}`.reveal()), wellFormed(word));
    }),
    { numRuns: 100 },
  );
});

t.test('an array becomes several arguments, and an empty one none', async (t) => {
  t.equal(dash(sh`printf '<%s>' ${['a b', "it's", '']}`.reveal()), "<a b><it's><>");
  t.equal(sh`ls ${[]}`.reveal(), 'ls ');
});

t.test('plain words stay unquoted so that scripts read well', async (t) => {
  t.equal(sh`install -m ${'0644'} ${'/etc/x.conf'}`.shown, 'install -m 0644 /etc/x.conf');
  t.equal(quote(''), "''");
});

t.test('a script shows its secrets to nobody; the session reveals them', async (t) => {
  const script = sh`printf %s ${new Secret("pa'ss")}`;
  t.notMatch(`${script.shown} ${JSON.stringify({ script })} ${inspect(script)}`, "pa'ss");
  t.equal(dash(script.reveal()), "pa'ss");
});

t.test('a function is defined once, after those it uses', async (t) => {
  const inner = shellFunction('hw_inner', 'echo "in $1"');
  const outer = shellFunction('hw_outer', 'hw_inner "$1"', [inner]);
  const script = Script.join([sh`${outer} ${'a'}`, sh`${inner} ${'b'}`, sh`${outer} ${'c'}`]);
  t.strictSame(script.functions, [inner, outer]);
  t.equal(dash(script.standalone()), 'in a\nin b\nin c\n');
});

t.test('undefined and NUL are refused before anything is sent', async (t) => {
  const missing: Record<string, string> = {};
  t.throws(() => sh`rm ${missing['path'] as string}`, /interpolation 1 is undefined/);
  t.throws(() => sh`printf ${'a\0b'}`, /NUL/);
});

t.test('a state survives being printed by a probe and read back', async () => {
  const value = words.map((text) => wellFormed(text).replaceAll('\r', ''));
  fc.assert(
    fc.property(fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9_.-]{0,8}$/), value, { maxKeys: 4 }), (state) => {
      const own = { ...state };
      assert.deepEqual({ ...parseState(formatState(own)) }, own);
      const script = Script.join([sh`:`, ...Object.entries(own).map(([key, value]) => sh`${hwKv} ${key} ${value}`)]);
      assert.deepEqual({ ...parseState(dash(script.standalone())) }, own, 'and by hw_kv');
    }),
    { numRuns: 60 },
  );
});

t.test('a value may hold what JavaScript takes for the end of a line, and shells do not', async (t) => {
  const state = { target: 'a\rb', seen: 'a\u2028b\u2029' };
  t.strictSame(parseState(formatState(state)), state);
});

t.test('the guard on the host agrees with the comparison here', async () => {
  const states = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('', 'x', 'x y', '*', 'a\nb', '\\n'));
  fc.assert(
    fc.property(states, states, (found, wanted) => {
      const script = sh`hw_out=${formatState(found)}; if ${holds(wanted)}; then echo yes; else echo no; fi`;
      const text = script.standalone();
      assert.equal(
        dash(text).trim(),
        differences(found, wanted).length === 0 ? 'yes' : 'no',
        JSON.stringify({ found, wanted }),
      );
    }),
    { numRuns: 100 },
  );
});

t.test('a probe that prints something else than key=value is a mistake of the probe', async (t) => {
  t.throws(() => parseState('mode=0644\nls: cannot access'), /not key=value: ls: cannot access/);
});

t.test('a problem says where, what, what is allowed and what to try', async (t) => {
  const at = { file: 'group_vars/all.yml', line: 7, column: 1 };
  t.equal(
    formatProblem({ at, what: 'unknown variable "prot"', expected: 'port, proto', hint: 'did you mean "port"?' }),
    'group_vars/all.yml:7:1: unknown variable "prot"\n  allowed: port, proto\n  try: did you mean "port"?',
  );
  t.match(new UserError([{ what: 'one' }, { what: 'two' }]).message, /one\ntwo/);
});

t.test('a misspelling finds its word, and nonsense finds none', async (t) => {
  const known = ['inventory', 'limit', 'tags', 'check'];
  t.equal(didYouMean('lmit', known), 'limit');
  t.equal(didYouMean('inevntory', known), 'inventory');
  t.equal(didYouMean('zzzzzz', known), undefined);
});

t.test('a user whom the system has no name for is known by number', async (t) => {
  t.equal(userName(), userInfo().username);
  const unnamed = (): never => {
    throw new Error('uv_os_get_passwd returned ENOENT');
  };
  t.equal(userName(unnamed), String(process.getuid?.()));
});
