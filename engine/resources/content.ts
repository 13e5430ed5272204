/** The content of a file, and how a script writes it: as quoted text, or as base64 where it is not text. */
import { createHash } from 'node:crypto';
import { quote, Script, sh, shellFunction } from '../script.ts';
import { Secret, SecretText } from '../secret.ts';

/** The content of a file. A {@link Secret} is secret as a whole, a {@link SecretText} in places. */
export type Content = string | Buffer | SecretText | Secret;

/** The bytes the file will have. Strings are written as UTF-8. */
export function bytesOf(content: Content): Buffer {
  if (Buffer.isBuffer(content)) return content;
  return Buffer.from(typeof content === 'string' ? content : content.reveal());
}

/** The sha256 of the bytes, in hex. */
export function sha256(content: Content): string {
  return createHash('sha256').update(bytesOf(content)).digest('hex');
}

/** Is the content secret? Its hash is then not shown either, since the content could be guessed from it. */
export function isSecret(content: Content): content is Secret | SecretText {
  return content instanceof Secret || content instanceof SecretText;
}

/** Is it text that a shell can hold: valid UTF-8 without NUL bytes? */
export function isText(bytes: Buffer): boolean {
  return !bytes.includes(0) && Buffer.from(bytes.toString('utf8')).equals(bytes);
}

/** From so many bytes on, a content becomes a shell function. */
const FUNCTION_FROM = 64;

/**
 * Writes the content into `path`, which exists. `printf` is a builtin of every shell, so no content reaches a command
 * line. Content that is not secret becomes a function: a session gets it once, however many of its scripts write it.
 */
export function write(content: Content, path: string): Script {
  const bytes = bytesOf(content);
  if (isSecret(content)) {
    if (isText(bytes)) return sh`printf %s ${content} > ${path}`;
    return sh`printf %s ${new Secret(bytes.toString('base64'))} | base64 -d > ${path}`;
  }
  const print = isText(bytes)
    ? `printf %s ${quote(bytes.toString('utf8'))}`
    : `printf %s ${quote(bytes.toString('base64'))} | base64 -d`;
  if (bytes.length < FUNCTION_FROM) return sh`${Script.raw(print)} > ${path}`;
  return sh`${shellFunction(`hw_content_${sha256(content).slice(0, 16)}`, print)} > ${path}`;
}
