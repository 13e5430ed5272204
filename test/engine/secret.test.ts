/** Secrets: they never show, in whatever form a host gives them back. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { inspect } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { holdsSecret, MASK, mask, maskData, Secret, SecretText, secretWeaknesses } from '../../engine/secret.ts';

/** What a shell prints, on stdout and stderr. */
const printed = (shell: string, text: string, value: string): string =>
  execFileSync(shell, ['-c', `exec 2>&1; ${text}`, shell, value], { encoding: 'utf8' });

t.test('a secret never shows by any way of printing', async (t) => {
  const secret = new Secret('correct horse');
  t.equal(
    `${secret} ${JSON.stringify({ secret })} ${inspect({ secret })}`,
    `${MASK} {"secret":"${MASK}"} { secret: ${MASK} }`,
  );
  t.equal(mask('a host said: correct horse!'), `a host said: ${MASK}!`);
});

t.test('a text with secrets shows everything but them', async (t) => {
  const text = new SecretText(['token: ', new Secret('swordfish'), '\nnode: 1\n']);
  t.equal(`${text}`, `token: ${MASK}\nnode: 1\n`);
  t.equal(text.reveal(), 'token: swordfish\nnode: 1\n');
  t.equal(mask('node: 1'), 'node: 1', 'its ordinary lines are not masked elsewhere');
});

t.test('what programs make of a secret is masked', async (t) => {
  const value = `pa'ss "wört" <&> $x \\ a+b/c?`;
  new Secret(value);
  const python = (code: string): string => execFileSync('python3', ['-c', code, value], { encoding: 'utf8' }).trim();
  const forms = {
    'JSON of JavaScript': JSON.stringify({ value }),
    'JSON of Go': `{"value":"${JSON.stringify(value).slice(1, -1).replaceAll('<', '\\u003c').replaceAll('>', '\\u003e').replaceAll('&', '\\u0026')}"}`,
    'JSON of Python': python('import json, sys; print(json.dumps({"value": sys.argv[1]}))'),
    'a trace of sh': printed('sh', 'set -x; : "$1"', value),
    'words of bash': printed('bash', 'printf "%q\\n" "$1"', value.replace('ö', 'o')),
    'words of Python': python('import shlex, sys; print(shlex.quote(sys.argv[1]))'),
    'a URL': `https://user:${encodeURIComponent(value)}@host`,
    'a URL of Python': python('import urllib.parse, sys; print(urllib.parse.quote(sys.argv[1], safe=""))'),
    'a form': new URLSearchParams({ value }).toString(),
    'a URL in lower case': encodeURIComponent(value).replaceAll(/%../g, (hex) => hex.toLowerCase()),
    base64: printed('sh', 'printf %s "$1" | base64', value),
    'base64 of a line': printed('sh', 'echo "$1" | base64', value),
    'base64 for URLs': Buffer.from(value).toString('base64url'),
    'a Kubernetes Secret': `data:\n  token: ${Buffer.from(value).toString('base64')}\n`,
  };
  new Secret(value.replace('ö', 'o'));
  for (const [name, text] of Object.entries(forms)) t.match(mask(text), MASK, `${name}: ${text.trim()}`);
  t.equal(mask(forms['a Kubernetes Secret']), `data:\n  token: ${MASK}\n`, 'all of it');
});

t.test('base64 of a text that holds a secret shows no more than its neighbours', async () => {
  const secret = 'k3s-join-Token';
  new Secret(secret);
  const neighbour = fc.string({ unit: 'binary', maxLength: 40 }).filter((text) => !holdsSecret(text));
  fc.assert(
    fc.property(neighbour, neighbour, (before, after) => {
      const shown = mask(Buffer.from(before + secret + after).toString('base64')).split(MASK);
      const rest = shown.map((text) => Buffer.from(text.replace(/=+$/, ''), 'base64').toString('latin1')).join('|');
      assert.equal(shown.length, 2);
      assert.ok(!rest.includes(secret.slice(0, 3)) || before.includes(secret.slice(0, 3)), rest);
      assert.ok(shown.join('').length <= ((Buffer.byteLength(before + after) + 4) * 4) / 3 + 4);
    }),
    { numRuns: 200 },
  );
});

t.test('long secrets are masked where base64 breaks the line', async (t) => {
  const value = Array.from({ length: 200 }, (_, i) => String.fromCharCode(33 + ((i * 7) % 90))).join('');
  new Secret(value);
  for (const width of [64, 76]) {
    const shown = mask(printed('sh', `printf %s "$1" | base64 -w ${width}`, value)).trim();
    t.match(shown, /^(\*\*\*\n)+\*\*\*$/, `${width} columns`);
  }
});

t.test('secrets that overlap are masked as one, the longest first', async (t) => {
  for (const value of ['alphaBeta', 'BetaGamma', 'alpha-long-one', 'alpha-long']) new Secret(value);
  t.equal(mask('x alphaBetaGamma y'), `x ${MASK} y`);
  t.equal(mask('x alpha-long-one y'), `x ${MASK} y`);
  t.equal(mask('alphaBetaalphaBeta'), MASK + MASK);
});

t.test('whatever is searched for is found, however many secrets there are', async () => {
  const value = fc
    .string({ unit: 'grapheme-ascii', minLength: 8, maxLength: 20 })
    .filter((text) => text.trim().length > 7);
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 30 }), fc.string(), (values, around) => {
      for (const each of values) new Secret(each);
      for (const each of values) assert.ok(!mask(around + each + around).includes(each));
    }),
    { numRuns: 50 },
  );
});

t.test('of data the values are masked, and keys, numbers and the shape stay', async (t) => {
  new Secret('opensesame1');
  t.strictSame(maskData({ opensesame1: ['opensesame1', 1, { deep: 'an opensesame1' }] }), {
    opensesame1: [MASK, 1, { deep: `an ${MASK}` }],
  });
});

t.test('data of any class is masked; what says itself how it is shown stays as it is', async (t) => {
  class Wanted {
    password = new Secret('opensesame2').reveal();
  }
  t.match(maskData(new Wanted()), { password: '***' });
  t.match(maskData(Object.assign(Object.create(null), { password: 'an opensesame2' })), { password: 'an ***' });
  const [date, secret] = [new Date(0), new Secret('opensesame2')];
  t.strictSame(maskData([date, secret]), [date, secret]);
});

t.test('a secret that masking does not protect is known as such', async (t) => {
  new Secret('aB3-x');
  new Secret('');
  const known = secretWeaknesses();
  t.notOk(known.has('short'));
  new Secret('abc');
  t.ok(known.has('short'));
  t.equal(mask('abc'), 'abc', 'and is not masked');
});
