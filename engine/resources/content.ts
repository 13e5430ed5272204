/** What a file is to hold, and how it travels: as quoted text where it is text, as base64 where it is not. */
import { createHash } from 'node:crypto';
import { quote, Script, sh, shellFunction } from '../script.ts';
import { Secret, SecretText } from '../secret.ts';

/** What a file is to hold. A {@link Secret} is secret as a whole, a {@link SecretText} in places. */
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

/** Must the content, and whatever could be guessed from its hash, stay unseen? */
export function isSecret(content: Content): content is Secret | SecretText {
  return content instanceof Secret || content instanceof SecretText;
}

/** Is it text that a shell can hold: valid UTF-8 without NUL bytes? */
export function isText(bytes: Buffer): boolean {
  return !bytes.includes(0) && Buffer.from(bytes.toString('utf8')).equals(bytes);
}

/** Bytes from which on a content is worth a name of its own in a script. */
const WORTH_A_NAME = 64;

/**
 * Writes the content into `path`, which exists. `printf` is a builtin everywhere: no content reaches an argv. One that is not
 * secret is a function, which a session is sent once, however many of its scripts write it.
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
  if (bytes.length < WORTH_A_NAME) return sh`${Script.raw(print)} > ${path}`;
  return sh`${shellFunction(`hw_content_${sha256(content).slice(0, 16)}`, print)} > ${path}`;
}
