/** What `--diff` shows of a file: a unified diff without secrets, of limited length. */
import { diff } from '../lazy-packages.ts';
import type { DiffDetail } from '../resource.ts';
import { sh } from '../script.ts';
import { MASK, mask, Secret } from '../secret.ts';
import { bytesOf, type Content, isSecret, isText } from './content.ts';

/** Bytes of a file that are fetched for a diff. */
const FETCHED = 256 * 1024;
/** Lines of a diff that are shown. */
const SHOWN = 200;

/** The diff between the file at `path` and `content`. */
export function fileDiff(path: string, content: Content): DiffDetail {
  return {
    // One byte more than is compared tells a file that is longer.
    script: sh`if [ -f ${path} ]; then head -c ${FETCHED + 1} ${path} | base64; fi`,
    render: (output) => renderDiff(path, Buffer.from(output, 'base64'), content),
  };
}

/** The diff as text, given the bytes found. */
export function renderDiff(path: string, found: Buffer, content: Content): string {
  const wanted = bytesOf(content);
  // Mode and owner are shown elsewhere.
  if (found.equals(wanted)) return '';
  if (content instanceof Secret) return `${path}: the content is secret`;
  if (found.length > FETCHED || wanted.length > FETCHED) return `${path}: too long to show a diff`;
  if (!isText(found) || !isText(wanted)) return `${path}: binary, ${found.length} bytes become ${wanted.length}`;
  const to = mask(isSecret(content) ? String(content) : wanted.toString());
  const from = isSecret(content) ? withoutOldSecrets(found.toString(), to) : mask(found.toString());
  const patch = diff().createTwoFilesPatch(path, path, from, to, 'found', 'wanted', { context: 3, timeout: 2000 });
  if (patch === undefined) return `${path}: too different to show a diff`;
  // The first two lines name the file once more.
  const lines = patch.split('\n').slice(2);
  const more = lines.length - SHOWN;
  return more > 0 ? `${lines.slice(0, SHOWN).join('\n')}\n... ${more} more lines` : lines.join('\n');
}

/**
 * The file found may hold an older secret that this process does not know. A line that is not in the wanted text is
 * shown up to its `:` or `=`, and marked with `(found)` so that it never equals a line of the wanted text.
 */
function withoutOldSecrets(found: string, wanted: string): string {
  const kept = new Set(wanted.split('\n'));
  return mask(found)
    .split('\n')
    .map((line) =>
      kept.has(line) && !line.includes(MASK)
        ? line
        : line.replace(/(^\s*#?[\w.-]*\s*[:=]?\s*).*\S.*$/, `$1${MASK} (found)`),
    )
    .join('\n');
}
