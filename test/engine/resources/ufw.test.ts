/** What the probe of a firewall rule prints, without ufw. */
import fc from 'fast-check';
import t from 'tap';
import { hwUfwComment, ufwRule } from '../../../engine/resources/ufw.ts';
import { Script, sh } from '../../../engine/script.ts';
import { formatState } from '../../../engine/state.ts';
import { run, SHELLS } from './local-shell.ts';

const hexOf = (text: string): string => Buffer.from(text).toString('hex');

for (const shell of SHELLS) {
  t.test(`a comment is shown as text, not in hex, under ${shell.join(' ')}`, async (t) => {
    const fixed = ['heartwood: HTTP from 192.0.2.0/24', '', '-', '100 % ünïcode あ', 'a\\nb\\\\', 'two\nlines\n'];
    const generated = fc.sample(fc.string({ unit: 'binary', maxLength: 30 }), 50).map((s) => s.replaceAll('\0', ''));
    const comments = [...fixed, ...generated];
    const script = Script.join(comments.map((comment) => sh`${hwUfwComment} ${hexOf(comment)}\n`));
    const { stdout, stderr } = await run(script, shell);
    t.equal(stderr, '');
    t.equal(stdout, comments.map((comment) => `${formatState({ comment })}\n`).join(''));
  });

  t.test(`a comment that is not in hex is shown as it is, under ${shell.join(' ')}`, async (t) => {
    const { stdout, stderr } = await run(sh`${hwUfwComment} 6x; ${hwUfwComment} 6C6; ${hwUfwComment} 610062`, shell);
    t.strictSame([stdout, stderr], ['comment=6x\ncomment=l\ncomment=ab\n', '']);
  });
}

t.test('the state wanted has the comment as text', async (t) => {
  const rule = { action: 'allow', port: 22, proto: 'tcp' } as const;
  t.equal(ufwRule({ ...rule, comment: 'ssh' }).wanted.comment, 'ssh');
  t.equal(ufwRule(rule).wanted.comment, '', 'a rule without one has an empty one');
});
