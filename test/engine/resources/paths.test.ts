import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { UserError } from '../../../engine/errors.ts';
import { absent } from '../../../engine/resources/absent.ts';
import { copy } from '../../../engine/resources/copy.ts';
import { directory } from '../../../engine/resources/directory.ts';
import { file } from '../../../engine/resources/file.ts';
import { renderDiff } from '../../../engine/resources/file-diff.ts';
import { link } from '../../../engine/resources/link.ts';
import { sh } from '../../../engine/script.ts';
import { Secret, SecretText } from '../../../engine/secret.ts';
import { apply, run, SHELLS } from './local-shell.ts';

// Who runs the tests: they need not be root.
const me = { owner: String(process.getuid?.() ?? 0), group: String(process.getgid?.() ?? 0) };

for (const shell of SHELLS) {
  t.test(`under ${shell.join(' ')}`, async (t) => {
    const dir = t.testdir();
    const path = join(dir, 'thing');

    await t.test('a file, a directory and a link come to be as wanted, and then stay', async (t) => {
      const awkward = 'It\'s "quoted" $HOME `id` \\n ünïcode\nno line break at the end';
      const resources = [
        file({ path, content: awkward, mode: '0640', ...me }),
        file({ path: `${path}.bin`, content: Buffer.from([0, 255, 10]), ...me }),
        directory({ path: `${path}.d/a b`, mode: '1700', ...me }),
        link({ path: `${path}.l`, target: 'a \\n "b"' }),
      ];
      for (const resource of resources) {
        const first = await apply(resource, shell);
        t.not(first.before.length, 0, `${resource.id}: there is something to do`);
        t.match(first.outcome, { exitCode: 0, stdout: '', stderr: '' });
        t.strictSame(first.after, []);
        t.strictSame((await apply(resource, shell)).outcome, undefined, 'the second time there is not');
      }
      t.equal(readFileSync(path, 'utf8'), awkward);
      t.equal(statSync(path).mode & 0o7777, 0o640);
      t.strictSame([...readFileSync(`${path}.bin`)], [0, 255, 10]);
    });

    await t.test('a file whose check fails is not replaced, and nothing is left beside it', async (t) => {
      const validate = (candidate: ReturnType<typeof sh>) => sh`grep -q good ${candidate} || { echo bad >&2; exit 3; }`;
      const here = join(dir, 'checked');
      mkdirSync(here);
      await apply(file({ path: `${here}/x`, content: 'good', validate, ...me }), shell);
      const bad = file({ path: `${here}/x`, content: 'evil', validate, ...me });
      const { outcome } = await apply(bad, shell);
      t.not(outcome?.exitCode, 0);
      t.match(bad.explain?.({ exitCode: 1, stdout: '', stderr: outcome?.stderr ?? '' }), {
        what: /did not pass/,
        hint: 'bad',
      });
      t.equal(readFileSync(`${here}/x`, 'utf8'), 'good');
      t.strictSame(readdirSync(here), ['x']);
    });

    await t.test(
      'a large copy goes on where it was cut, and starts over when what is left is of another file',
      async (t) => {
        const from = join(dir, 'large');
        const content = Buffer.alloc(2_300_000, 'abc\0');
        writeFileSync(from, content);
        const resource = copy({ path: join(dir, 'copy'), from, ...me });
        for (const [left, sent] of [
          [content.subarray(0, 1_500_000), 800_000],
          [Buffer.from('something else'), 2_300_000],
        ] as const) {
          await run(sh`rm -f ${join(dir, 'copy')}`);
          writeFileSync(join(dir, '.copy.hw-new'), left);
          const found = Object.fromEntries(
            (await run(resource.probe, shell)).stdout
              .trim()
              .split('\n')
              .map((line) => line.split('=') as [string, string]),
          );
          const uploaded = Buffer.concat((await resource.upload?.(found)?.content().toArray()) ?? []);
          t.equal(uploaded.length, sent, `${sent} bytes are sent`);
          t.strictSame((await apply(resource, shell)).after, []);
          t.ok(readFileSync(join(dir, 'copy')).equals(content));
        }
      },
    );

    await t.test('a copy is packed where that halves it and the host can unpack', async (t) => {
      const packs = (name: string, content: Buffer, unpacks: string) => {
        writeFileSync(join(dir, name), content);
        const resource = copy({ path: join(dir, 'copy'), from: join(dir, name), ...me });
        return resource.upload?.({ received: '0', unpacks })?.compressible;
      };
      const text = Buffer.alloc(1_000_000, 'all work and no play\n');
      const noise = randomBytes(1_000_000);
      t.equal(packs('text', text, 'yes'), true);
      t.equal(packs('text', text, 'no'), false);
      t.equal(packs('noise', noise, 'yes'), false);
      t.equal(packs('half', Buffer.concat([text, noise]), 'yes'), false);
      const probe = (await run(copy({ path: join(dir, 'copy'), from: join(dir, 'text') }).probe, shell)).stdout;
      t.match(probe, /^unpacks=yes$/m);
    });

    await t.test('a copy that does not pass its check leaves the old file, and nothing beside it', async (t) => {
      const from = join(dir, 'program');
      const to = join(dir, 'placed');
      for (const size of [100, 1_200_000]) {
        writeFileSync(to, 'the old one');
        writeFileSync(from, `#!/bin/sh\necho version 2; exit\n${'#'.repeat(size)}`);
        const wanting = (version: string) =>
          copy({
            path: to,
            from,
            ...me,
            mode: '0755',
            validate: (candidate) =>
              sh`hw_is=$(${candidate}); [ "$hw_is" = ${version} ] || { echo "it is $hw_is" >&2; exit 1; }`,
          });
        const { outcome } = await apply(wanting('version 3'), shell);
        t.match(wanting('version 3').explain?.(outcome ?? { exitCode: 0, stdout: '', stderr: '' }), {
          what: /did not pass its check/,
          hint: 'it is version 2',
        });
        t.equal(readFileSync(to, 'utf8'), 'the old one');
        t.notOk(existsSync(join(dir, '.placed.hw-new')));
        t.strictSame((await apply(wanting('version 2'), shell)).after, []);
      }
    });

    await t.test('a directory with something in it is only removed when that is asked for', async (t) => {
      mkdirSync(join(dir, 'full', 'of'), { recursive: true });
      const { outcome } = await apply(absent({ path: join(dir, 'full') }), shell);
      t.not(outcome?.exitCode, 0);
      t.strictSame((await apply(absent({ path: join(dir, 'full'), recursive: true }), shell)).after, []);
    });
  });
}

t.test('what cannot be meant is refused before any host is asked', async (t) => {
  for (const [make, pattern] of [
    [() => file({ path: 'etc/x', content: '' }), /file: path is "etc\/x"/],
    [() => file({ path: '/etc/../x', content: '' }), /allowed: an absolute path/],
    [() => directory({ path: '/etc/' }), /directory: path is "\/etc\/"/],
    [() => file({ path: '/x', content: '', mode: '999' }), /\/x: mode is "999"/],
    // A number, as YAML without quotes has it: what the types refuse and data from outside may be.
    [
      () => file({ path: '/x', content: '', mode: 0o644 as unknown as string }),
      /\/x: mode is the number 420 \(octal 644\)/,
    ],
    [() => absent({ path: '/etc', recursive: true }), /right below the root/],
    [
      () => copy({ path: '/x', from: '/nowhere/at/all' }),
      /\/nowhere\/at\/all, to be copied to \/x, cannot be read: is not there/,
    ],
    [() => copy({ path: '/x', from: import.meta.filename, sha256: '00' }), /is not the file that \/x should be/],
  ] as const) {
    t.throws(make, new UserError({ what: '' }).constructor as ErrorConstructor);
    t.throws(make, { message: pattern });
  }
});

t.test('the state of a secret file tells nothing of its content', async (t) => {
  const secret = new Secret('hunter2-and-more');
  for (const content of [secret, new SecretText(['token: ', secret, '\n'])]) {
    const resource = file({ path: '/etc/token', content });
    const shown = [resource.probe.shown, resource.change({}).shown, JSON.stringify(resource.wanted)].join('\n');
    t.notMatch(shown, /hunter2/);
    t.notMatch(shown, /[0-9a-f]{64}/, 'not even its hash, from which a short one could be guessed');
  }
});

t.test('--diff shows', async (t) => {
  const render = (found: string | Buffer, content: Parameters<typeof renderDiff>[2]) =>
    renderDiff('/etc/x', Buffer.from(found), content);

  t.test('a unified diff of text', async (t) => {
    t.match(render('a\nb\n', 'a\nc\n'), /^--- \/etc\/x\tfound\n\+\+\+ \/etc\/x\twanted\n@@ .*@@\n a\n-b\n\+c\n/m);
  });
  t.test('of binary content only that it is', async (t) => {
    t.equal(render(Buffer.from([0, 1]), 'text'), '/etc/x: binary, 2 bytes become 4');
  });
  t.test('of a secret nothing', async (t) => {
    t.equal(render('old-secret', new Secret('new-secret')), '/etc/x: the content is secret');
    t.equal(render('new-secret', new Secret('new-secret')), '', 'nor that it differs where only mode or owner do');
  });
  t.test('of text with secrets neither the new ones nor the old', async (t) => {
    const diff = render(
      'port: 1\ntoken: old-one-55\nmode=x',
      new SecretText(['port: 2\ntoken: ', new Secret('new-one-66'), '\n']),
    );
    t.notMatch(diff, /old-one-55|new-one-66/);
    t.match(diff, /-port: \*\*\* \(found\)\n-token: \*\*\* \(found\)\n-mode=\*\*\* \(found\)/);
    t.match(diff, /\+port: 2\n\+token: \*\*\*/);
  });
  t.test('a bearable number of lines', async (t) => {
    const diff = render('', 'line\n'.repeat(1000));
    t.match(diff, /\n\.\.\. 80\d more lines$/);
    t.equal(render('x', 'y'.repeat(300_000)), '/etc/x: too long to show a diff');
  });
});

t.test('a temporary directory is left as it was', async (t) => {
  const dir = mkdtempSync(join(t.testdir(), 'd'));
  await apply(file({ path: `${dir}/a`, content: 'x', ...me }));
  t.strictSame(readdirSync(dir), ['a']);
});
