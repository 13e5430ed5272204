/** Files, directories, links, and nothing at all. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { absent } from '../../../engine/resources/absent.ts';
import { copy } from '../../../engine/resources/copy.ts';
import { directory } from '../../../engine/resources/directory.ts';
import { file } from '../../../engine/resources/file.ts';
import { link } from '../../../engine/resources/link.ts';
import { sh } from '../../../engine/script.ts';
import { Secret, SecretText } from '../../../engine/secret.ts';
import { contentOf, type Example, WORK } from '../example.ts';

const path = `${WORK}/thing`;
const whole = contentOf(path);
const token = new Secret('sesame-1234-abcd');
const old = sh`printf 'old\n' > ${path}`;

const awkward = 'It\'s "quoted" $HOME `id` \\n \t ünïcode あ\nno line break at the end';

export const files: readonly Example[] = [
  { name: 'a new one', resource: file({ path, content: 'new\n' }), whole },
  { name: 'an empty one', resource: file({ path, content: '' }), whole },
  { name: 'other content', resource: file({ path, content: 'new\n', mode: '0600' }), prepare: old, whole },
  { name: 'awkward text', resource: file({ path, content: awkward }), prepare: old, whole },
  {
    name: 'binary content',
    resource: file({ path, content: Buffer.from([0, 1, 10, 255, 254, 0x1b, 39]) }),
    prepare: old,
    whole,
  },
  {
    name: 'every byte',
    resource: file({ path, content: Buffer.from(Array.from({ length: 256 }, (_, i) => i)) }),
    whole,
  },
  { name: 'text of 200 kB', resource: file({ path, content: `${awkward}\n`.repeat(4000) }), prepare: old, whole },
  {
    name: 'another mode, owner and group',
    resource: file({ path, content: 'old\n', mode: '4750', owner: 'daemon', group: '12' }),
    prepare: old,
    whole: sh`sha256sum ${path}`,
  },
  {
    name: 'content and owner at once',
    resource: file({ path, content: 'new\n', mode: '0400', owner: '1', group: 'daemon' }),
    prepare: old,
    whole,
  },
  { name: 'one that is as it should be', resource: file({ path, content: 'old\n' }), prepare: old, holds: true, whole },
  {
    name: 'a token in a text',
    resource: file({ path, content: new SecretText(['token: ', token, '\n']), mode: '0600' }),
    prepare: old,
    whole,
    secrets: [token],
  },
  { name: 'a secret as a whole', resource: file({ path, content: token, mode: '0600' }), whole, secrets: [token] },
  {
    name: 'a secret that is there already',
    resource: file({ path, content: token, mode: '0600' }),
    prepare: sh`umask 077; printf %s ${token} > ${path}`,
    holds: true,
    secrets: [token],
  },
  {
    name: 'content that passes its check',
    resource: file({ path, content: 'good\n', validate: (candidate) => sh`grep -q good ${candidate}` }),
    prepare: old,
    whole,
  },
  {
    name: 'content that does not pass its check',
    resource: file({
      path,
      content: 'bad\n',
      validate: (candidate) => sh`grep good ${candidate} || { echo no good here >&2; exit 3; }`,
    }),
    prepare: old,
    whole,
    fails: /did not pass its check.*no good here/,
  },
  {
    name: 'a link in its place, not followed',
    resource: file({ path, content: 'new\n' }),
    prepare: sh`printf 'other\n' > ${WORK}/other; ln -s other ${path}`,
    whole,
  },
  {
    name: 'a link to a directory in its place',
    resource: file({ path, content: 'new\n' }),
    prepare: sh`mkdir ${WORK}/other; ln -s other ${path}`,
    whole,
  },
  {
    name: 'a broken link in its place',
    resource: file({ path, content: 'new\n' }),
    prepare: sh`ln -s nowhere ${path}`,
    whole,
  },
  {
    name: 'a directory in its place',
    resource: file({ path, content: 'new\n' }),
    prepare: sh`mkdir ${path}; echo kept > ${path}/kept`,
    fails: /is a directory/,
  },
  {
    name: 'no directory to be in',
    resource: file({ path: `${path}/x`, content: 'new\n' }),
    fails: /directory .*thing is not there/,
  },
  {
    name: 'an owner nobody knows',
    resource: file({ path, content: 'new\n', owner: 'nosuch' }),
    prepare: old,
    whole,
    fails: /nosuch.*does not exist/,
  },
  {
    name: 'a trap where its candidate goes',
    resource: file({ path, content: 'new\n' }),
    prepare: sh`printf 'precious\n' > ${WORK}/precious; ln -s precious ${WORK}/.thing.hw-new`,
    whole: sh`${whole}; cat ${WORK}/precious`,
  },
  {
    name: 'a full disk',
    resource: file({ path: `${WORK}/small/thing`, content: 'x'.repeat(100_000) }),
    prepare: sh`
umount /run/hw-small 2>/dev/null; mkdir -p /run/hw-small && mount -t tmpfs -o size=64k none /run/hw-small && ln -s /run/hw-small ${WORK}/small
printf 'old\n' > ${WORK}/small/thing`,
    whole: sh`ls -A /run/hw-small; cat /run/hw-small/thing`,
    fails: /disk .* is full/,
  },
  { name: 'a name with blanks and quotes', resource: file({ path: `${WORK}/it's a "thing"`, content: 'new\n' }) },
];

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const local = mkdtempSync(join(tmpdir(), 'hw-contract-'));
const small = join(local, 'small');
const large = join(local, 'large');
const dense = join(local, 'dense');
writeFileSync(small, Buffer.from([0, 1, 2, 3]));
writeFileSync(dense, noise(1_300_000));
writeFileSync(large, Buffer.alloc(1_300_000, 'abcd\0'));

/** Letters that no packer halves (Park and Miller's generator), and a script that prints them too. */
function noise(length: number): string {
  let [text, x] = ['', 1];
  while (text.length < length) {
    x = (x * 16807) % 2147483647;
    text += LETTERS[Math.floor(x / 2 ** 25)];
  }
  return text;
}
const printNoise = (length: number) =>
  sh`awk -v n=${length} -v s=${LETTERS} 'BEGIN { for (x = 1; n-- > 0; ) { x = (x * 16807) % 2147483647; printf "%s", substr(s, int(x / 33554432) + 1, 1) } }'`;

/** Where the examples' own files are, to be removed in the end. */
export const localFiles: string = local;

export const copies: readonly Example[] = [
  { name: 'a small one', resource: copy({ path, from: small, mode: '0755' }), prepare: old, whole },
  { name: 'one that is uploaded', resource: copy({ path, from: dense, mode: '0755' }), prepare: old, whole },
  {
    name: 'one that goes on where it was cut',
    resource: copy({ path, from: dense }),
    prepare: sh`${printNoise(1_100_001)} > ${WORK}/.thing.hw-new`,
    whole,
  },
  { name: 'a packed one', resource: copy({ path, from: large, mode: '0755' }), prepare: old, whole },
  {
    name: 'a packed one that goes on where it was cut',
    resource: copy({ path, from: large }),
    prepare: sh`yes 'abcd' | tr '\n' '\\0' | head -c 1100001 > ${WORK}/.thing.hw-new`,
    whole,
  },
  {
    name: 'one that another file was left of',
    resource: copy({ path, from: large }),
    prepare: sh`printf 'something else' > ${WORK}/.thing.hw-new`,
    whole,
  },
  {
    name: 'one that is there',
    resource: copy({ path, from: large }),
    prepare: sh`yes 'abcd' | tr '\n' '\\0' | head -c 1300000 > ${path}`,
    holds: true,
  },
];

export const directories: readonly Example[] = [
  { name: 'a new one', resource: directory({ path }) },
  {
    name: 'a new one with parents',
    resource: directory({ path: `${path}/a b/c`, mode: '0700', owner: 'daemon', group: 'daemon' }),
  },
  {
    name: 'another mode and owner',
    resource: directory({ path, mode: '1777', owner: '1' }),
    prepare: sh`mkdir ${path}; echo kept > ${path}/kept`,
  },
  {
    name: 'a link to one will do',
    resource: directory({ path }),
    prepare: sh`mkdir ${WORK}/real; ln -s real ${path}`,
    holds: true,
  },
  { name: 'a file in its place', resource: directory({ path }), prepare: old, whole, fails: /in the way/ },
  {
    name: 'a broken link in its place',
    resource: directory({ path }),
    prepare: sh`ln -s nowhere ${path}`,
    whole,
    fails: /in the way/,
  },
];

export const links: readonly Example[] = [
  { name: 'a new one', resource: link({ path, target: '/etc/hostname' }), whole },
  {
    name: 'another target',
    resource: link({ path, target: 'a \\n "name"' }),
    prepare: sh`ln -s /etc/passwd ${path}`,
    whole,
  },
  {
    name: 'one to a directory, led elsewhere',
    resource: link({ path, target: '/usr' }),
    prepare: sh`mkdir ${WORK}/real; ln -s real ${path}`,
    whole,
  },
  {
    name: 'one that is as it should be',
    resource: link({ path, target: '/etc' }),
    prepare: sh`ln -s /etc ${path}`,
    holds: true,
    whole,
  },
  {
    name: 'a file in its place',
    resource: link({ path, target: '/etc' }),
    prepare: old,
    whole,
    fails: /is there and is no link/,
  },
  {
    name: 'a directory in its place',
    resource: link({ path, target: '/etc' }),
    prepare: sh`mkdir ${path}`,
    whole,
    fails: /is there and is no link/,
  },
];

export const absences: readonly Example[] = [
  { name: 'a file', resource: absent({ path }), prepare: old, whole },
  {
    name: 'a link, not what it leads to',
    resource: absent({ path }),
    prepare: sh`mkdir ${WORK}/real; ln -s real ${path}`,
    whole,
  },
  { name: 'an empty directory', resource: absent({ path }), prepare: sh`mkdir ${path}`, whole },
  {
    name: 'a full directory',
    resource: absent({ path, recursive: true }),
    prepare: sh`mkdir -p ${path}/a/b; touch ${path}/a/b/c`,
  },
  { name: 'nothing there', resource: absent({ path }), holds: true },
  {
    name: 'a full directory, not asked for',
    resource: absent({ path }),
    prepare: sh`mkdir ${path}; touch ${path}/x`,
    fails: /is not empty/,
  },
];
