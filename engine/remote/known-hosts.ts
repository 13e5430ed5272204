/** Host keys, checked against known_hosts files as OpenSSH writes them (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { appendFile, mkdir, open, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A line of a known_hosts file. */
export interface KnownHostsLine {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly marker: 'cert-authority' | 'revoked' | undefined;
  /** The first field: patterns with commas between, or a hashed name. */
  readonly hosts: string;
  /** `ssh-ed25519`. */
  readonly type: string;
  readonly key: Buffer;
}

/** What known_hosts says of a key. */
export type HostKeyVerdict =
  | { readonly status: 'known' }
  /** No line names this host. `authority`: but a `@cert-authority` line does, which needs certificates to check. */
  | { readonly status: 'unknown'; readonly authority: KnownHostsLine | undefined }
  /** The host is known by another key. Also when that is of another type: the known type is asked for first. */
  | { readonly status: 'changed'; readonly lines: readonly KnownHostsLine[] }
  | { readonly status: 'revoked'; readonly line: KnownHostsLine };

/**
 * The lines of known_hosts files. Empty lines, comments and lines that are not well formed are passed over, as ssh
 * does.
 */
export function parseKnownHosts(text: string, file: string): KnownHostsLine[] {
  return text.split('\n').flatMap((content, index) => {
    const words = content.trim().split(/[ \t]+/);
    const marker = words[0]?.startsWith('@') ? words.shift()?.slice(1) : undefined;
    const [hosts, type, encoded] = words;
    if (!hosts || hosts.startsWith('#') || !type || !encoded || !/^[\w+/]+=*$/.test(encoded)) return [];
    if (marker !== undefined && marker !== 'cert-authority' && marker !== 'revoked') return [];
    return [{ file, line: index + 1, marker, hosts, type, key: Buffer.from(encoded, 'base64') }];
  });
}

/** Files as they were read last: all hosts of a run ask for the same ones. */
const loaded = new Map<string, { readonly stamps: string; readonly known: Promise<KnownHosts> }>();

/** Known hosts, from several files. */
export class KnownHosts {
  readonly #lines: readonly KnownHostsLine[];
  /** Indices of the lines that name a host plainly, by its name. */
  readonly #plain = new Map<string, number[]>();
  /** Those of the others: hashed, or with patterns. */
  readonly #others: number[] = [];
  /** Results of {@link #linesNaming}. */
  readonly #naming = new Map<string, readonly KnownHostsLine[]>();

  constructor(lines: readonly KnownHostsLine[]) {
    this.#lines = lines;
    for (const [i, { hosts }] of lines.entries()) {
      if (hosts.startsWith('|1|') || /[*?!]/.test(hosts)) this.#others.push(i);
      else for (const name of new Set(hosts.toLowerCase().split(','))) push(this.#plain, name, i);
    }
  }

  /**
   * Reads files; those that do not exist count as empty. Files that did not change are not read again.
   * @throws Error with a `code` when one is there and cannot be read.
   */
  static async load(files: readonly string[]): Promise<KnownHosts> {
    const stamps = (await Promise.all(files.map(stampOf))).join();
    const before = loaded.get(files.join('\0'));
    if (before?.stamps === stamps) return before.known;
    const known = Promise.all(files.map(readLines)).then((lines) => new KnownHosts(lines.flat()));
    loaded.set(files.join('\0'), { stamps, known });
    // The next time it may be readable.
    known.catch(() => loaded.delete(files.join('\0')));
    return known;
  }

  /** The types of key that a host is known by, so that one of those can be asked for. */
  types(host: string, port: number): string[] {
    const named = this.#linesFor(host, port).filter(({ marker }) => marker === undefined);
    return [...new Set(named.map(({ type }) => type))];
  }

  /**
   * What is known of a host's key.
   * @param host The name or address dialled, or its HostKeyAlias (then with port 22).
   * @param key The key in its wire form.
   */
  check(host: string, port: number, key: Buffer): HostKeyVerdict {
    const naming = this.#linesFor(host, port);
    const revoked = naming.find((line) => line.marker === 'revoked' && line.key.equals(key));
    if (revoked) return { status: 'revoked', line: revoked };
    const plain = naming.filter(({ marker }) => marker === undefined);
    if (plain.some((line) => line.key.equals(key))) return { status: 'known' };
    // A key that is known for another port says nothing of this one.
    const exact = this.#linesNaming(hostName(host, port)).filter(({ marker }) => marker === undefined);
    if (exact.length > 0) return { status: 'changed', lines: exact };
    return { status: 'unknown', authority: naming.find(({ marker }) => marker === 'cert-authority') };
  }

  /**
   * Lines that name the host. As in ssh, a line without port may vouch for a key of another port that no line names.
   */
  #linesFor(host: string, port: number): readonly KnownHostsLine[] {
    const exact = this.#linesNaming(hostName(host, port));
    if (port === 22 || exact.some(({ marker }) => marker === undefined)) return exact;
    return [...exact, ...this.#linesNaming(hostName(host, 22))];
  }

  /** In the order of the files. */
  #linesNaming(name: string): readonly KnownHostsLine[] {
    const known = this.#naming.get(name);
    if (known) return known;
    const others = this.#others.filter((i) => matches(this.#lines[i]?.hosts ?? '', name));
    const found = [...(this.#plain.get(name) ?? []), ...others].sort((a, b) => a - b);
    const lines = found.flatMap((i) => this.#lines[i] ?? []);
    this.#naming.set(name, lines);
    return lines;
  }
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

async function readLines(file: string): Promise<KnownHostsLine[]> {
  try {
    return parseKnownHosts(await readFile(file, 'utf8'), file);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** It differs when the file has changed. */
async function stampOf(file: string): Promise<string> {
  try {
    const { ctimeNs, size, ino } = await stat(file, { bigint: true });
    return `${ctimeNs} ${size} ${ino}`;
  } catch (error) {
    if (isMissing(error)) return 'not there';
    throw error;
  }
}

const isMissing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT';

/** A host as known_hosts names it: `web1`, `[web1]:2222`. */
export function hostName(host: string, port: number): string {
  return port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;
}

/** Does the first field of a line name this host? */
function matches(hosts: string, name: string): boolean {
  if (hosts.startsWith('|1|')) return hashMatches(hosts, name);
  const patterns = hosts.toLowerCase().split(',');
  const hit = (pattern: string): boolean => wildcard(pattern).test(name);
  if (patterns.some((pattern) => pattern.startsWith('!') && hit(pattern.slice(1)))) return false;
  return patterns.some((pattern) => !pattern.startsWith('!') && hit(pattern));
}

/** `|1|SALT|HASH`: HMAC-SHA1 of the name, keyed by the salt. */
function hashMatches(hosts: string, name: string): boolean {
  const [, , salt = '', hash = ''] = hosts.split('|');
  const wanted = Buffer.from(hash, 'base64');
  const actual = hashOf(name, Buffer.from(salt, 'base64'));
  return wanted.length === actual.length && timingSafeEqual(wanted, actual);
}

function hashOf(name: string, salt: Buffer): Buffer {
  return createHmac('sha1', salt).update(name).digest();
}

/** `*` is any text, `?` any character; brackets are themselves. */
function wildcard(pattern: string): RegExp {
  const escaped = pattern.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('\\*', '.*').replaceAll('\\?', '.')}$`, 's');
}

/** A key's fingerprint, as ssh-keygen -l prints it. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** A key's type, from its wire form: a length and a name. */
export function keyType(key: Buffer): string {
  return key.length >= 4 ? key.toString('latin1', 4, 4 + key.readUInt32BE(0)) : '';
}

/**
 * Adds a host's key to a known_hosts file, making the file (0600) and its folder (0700) where missing.
 * @param salt 20 random bytes: the name is written hashed. Undefined: plain.
 * @throws Error with a `code` when the file cannot be written.
 */
export async function appendKnownHost(
  file: string,
  host: string,
  port: number,
  key: Buffer,
  salt: Buffer | undefined,
): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const name = hostName(host, port);
  const field = salt ? `|1|${salt.toString('base64')}|${hashOf(name, salt).toString('base64')}` : name;
  const line = `${field} ${keyType(key)} ${key.toString('base64')}\n`;
  await appendFile(file, (await endsLine(file)) ? line : `\n${line}`, { mode: 0o600 });
}

/** False when the last line of a file lacks its line break. */
async function endsLine(file: string): Promise<boolean> {
  const handle = await open(file, 'r').catch(() => undefined);
  if (!handle) return true;
  try {
    const { size } = await handle.stat();
    if (size === 0) return true;
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
    return buffer[0] === 0x0a;
  } finally {
    await handle.close();
  }
}
