import t from 'tap';
import { InvalidValue } from '../../engine/errors.ts';
import {
  BOOLEAN,
  type OptionsOf,
  oneOf,
  optionsType,
  PORT,
  required,
  SCRIPT,
  SECONDS,
  STRING_LIST,
  TEXT,
  UnknownOption,
  validateOptions,
  valueType,
} from '../../engine/validate-options.ts';

const TABLE = {
  name: required(TEXT),
  port: PORT,
  tags: STRING_LIST,
  state: oneOf('present', 'absent'),
  wait: optionsType({ condition: required(TEXT), deadline: required(SECONDS), quiet: BOOLEAN }),
  script: SCRIPT,
};
type Options = OptionsOf<typeof TABLE>;

/** What an object that nobody type-checks is refused with. */
function refused(given: unknown): { readonly messages: readonly string[]; readonly error: unknown } {
  try {
    validateOptions('thing', given as Options, TABLE);
  } catch (error) {
    if (error instanceof UnknownOption || error instanceof InvalidValue)
      return { messages: error.problems.map(({ what }) => what), error };
    throw error;
  }
  return { messages: [], error: undefined };
}

t.test('the type follows from the table', async (t) => {
  const whole: Options = { name: 'x', port: 22, tags: ['a'], state: 'absent', wait: { condition: 'c', deadline: 1 } };
  t.strictSame(refused(whole).messages, []);
  t.strictSame(refused({ name: 'x' } satisfies Options).messages, []);
  // @ts-expect-error a name is required
  t.strictSame(refused({} satisfies Options).messages, ['missing option "name" in thing']);
  // @ts-expect-error another state
  t.strictSame(refused({ name: 'x', state: 'latest' } satisfies Options).messages, ['thing: state is "latest"']);
});

t.test('what is unknown, missing or of a wrong type is said, inside other options too', async (t) => {
  const rows: [unknown, string[]][] = [
    [{ nam: 'x' }, ['unknown option "nam" in thing']],
    [{ name: 'x', wait: { condtion: 'x' } }, ['unknown option "condtion" in wait of thing']],
    [{ name: null }, ['missing option "name" in thing']],
    [{ name: 5, tags: 'net' }, ['thing: name is 5', 'thing: tags is "net"']],
    [{ name: 'x', port: 70000 }, ['thing: port is 70000']],
    [{ name: 'x', wait: 'long' }, ['thing: wait is "long"']],
    [
      { name: 'x', wait: { condition: 'c', deadline: '9', quiet: 'no' } },
      ['wait of thing: deadline is "9"', 'wait of thing: quiet is "no"'],
    ],
    [{ name: 'x', wait: { condition: 'c' } }, ['missing option "deadline" in wait of thing']],
    [{ name: 'x', script: 'reboot' }, ['thing: script is "reboot"']],
    [[], ['the options of thing are a list']],
    ['x', ['the options of thing are text']],
    [undefined, ['the options of thing are empty']],
    [{ name: 'x', tags: undefined }, []],
  ];
  for (const [given, messages] of rows) t.strictSame(refused(given).messages, messages, JSON.stringify(given));
});

t.test('an unknown option is told apart from a wrong value, with what is allowed and what was meant', async (t) => {
  const { error } = refused({ nam: 'x' });
  t.ok(error instanceof UnknownOption);
  t.match(error, { problems: [{ expected: 'name, port, tags, state, wait, script', hint: 'did you mean "name"?' }] });
  const wrong = refused({ name: 'x', state: 'latest' }).error;
  t.ok(wrong instanceof InvalidValue);
  t.match(wrong, { problems: [{ expected: 'present, absent' }] });
});

t.test('a value may be described in words of its own', async (t) => {
  const mode = { ...valueType<string>('"0644"', () => false), shown: (value: unknown) => `the number ${value}` };
  t.throws(() => validateOptions('x', { path: '/a', mode: 420 }, { path: TEXT, mode }), {
    message: /^\/a: mode is the number 420\n/,
  });
});
