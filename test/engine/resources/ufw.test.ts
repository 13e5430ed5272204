/** What the probe of a firewall rule reads from ufw's files. */
import { execFileSync } from 'node:child_process';
import t from 'tap';
import { ufwRule } from '../../../engine/resources/ufw.ts';
import { differences, parseState, type State } from '../../../engine/state.ts';
import { SHELLS, withFunctions } from './local-shell.ts';

const SSH = { action: 'allow', port: 22, proto: 'tcp' } as const;

for (const shell of SHELLS) {
  t.test(`a comment is read as text, under ${shell.join(' ')}`, async (t) => {
    /** What the probe finds where ufw has stored the rule with this suffix. */
    const found = (suffix: string): State => {
      const dir = t.testdir({
        'user.rules': `### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in${suffix}\n`,
        'user6.rules': `### tuple ### allow tcp 22 ::/0 any ::/0 in${suffix}\n`,
      });
      const input = withFunctions(ufwRule(SSH).probe).replaceAll('/etc/ufw', dir);
      const [program = 'sh', ...args] = shell;
      return parseState(execFileSync(program, [...args, '-s'], { input, encoding: 'utf8' }));
    };
    const comments = [
      'heartwood: HTTP from 192.0.2.0/24',
      'SSH für Ærø, 東京',
      ' 100% of $HOME, `id`, %s and *\t ',
      'C:\\new\\\\0101',
      'two\nlines\n',
      '-',
    ];
    for (const comment of comments) {
      const hex = Buffer.from(comment).toString('hex');
      for (const stored of [hex, hex.toUpperCase()]) {
        const state = found(` comment=${stored}`);
        t.match(state, { rule: 'present', comment });
        t.strictSame(differences(state, ufwRule({ ...SSH, comment }).wanted), []);
      }
      t.strictSame(differences(found(''), ufwRule({ ...SSH, comment }).wanted), [
        { key: 'comment', found: '', wanted: comment },
      ]);
    }
    t.strictSame(differences(found(''), ufwRule(SSH).wanted), [], 'no comment');
    t.match(found(' comment=not hex'), { comment: 'not hex' }, 'what is not hex is shown as it is');
  });
}
