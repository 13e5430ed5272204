/**
 * The lab's mirror: one small HTTP server that hosts fetch from, laid out like k3s's release page
 * (`/<version>/k3s`, `/<version>/sha256sum-amd64.txt`, `/v1-release/channels/stable`), with the lab's Debian packages
 * below `/debian/`. It fails on request, in the ways real mirrors do.
 */
import { createReadStream, existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join, normalize } from 'node:path';

/** The port of every lab's mirror, on the machine's address in the lab. */
export const mirrorPort = 8099;

/**
 * How an answer goes wrong: `unavailable` is 503; `truncated` ends half-way through the promised length; `corrupt` has
 * one byte changed; `reset` closes the connection without an answer; `stalled` sends half and then nothing more.
 */
export type MirrorFailure = 'unavailable' | 'truncated' | 'corrupt' | 'reset' | 'stalled';

/** What a mirror serves. It is read anew for every request, so changing the file changes the running mirror. */
export interface MirrorConfig {
  /** The directory with the files. */
  readonly files: string;
  /** The version each channel leads to: `{ stable: 'v1.36.2+k3s1' }`. */
  readonly channels: Readonly<Record<string, string>>;
  /** Answers that go wrong, by a part of the path; the first that matches counts. */
  readonly failures: readonly { readonly path: string; readonly failure: MirrorFailure }[];
}

/** Reads a mirror's configuration. */
export function readMirrorConfig(file: string): MirrorConfig {
  return JSON.parse(readFileSync(file, 'utf8')) as MirrorConfig;
}

/** Writes a mirror's configuration; a mirror that reads it meanwhile sees the old or the new one. */
export function writeMirrorConfig(file: string, config: MirrorConfig): void {
  writeFileSync(`${file}.new`, JSON.stringify(config, null, 2));
  renameSync(`${file}.new`, file);
}

/** A mirror; the caller has it listen. `config` is called for every request. */
export function createMirror(config: () => MirrorConfig): Server {
  return createServer((request, response) => {
    try {
      answer(config(), request, response);
    } catch (error) {
      response.writeHead(error instanceof URIError ? 400 : 500).end(`${error}\n`);
    }
  });
}

function answer(config: MirrorConfig, request: IncomingMessage, response: ServerResponse): void {
  const path = normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://mirror').pathname));
  const failure = config.failures.find((one) => path.includes(one.path))?.failure;
  const channel = /^\/v1-release\/channels\/([^/]+)$/.exec(path)?.[1];
  const file = join(config.files, path);
  if (failure === 'reset') request.socket.destroy();
  else if (failure === 'unavailable') plain(response, 503, 'Service Unavailable');
  else if (request.method !== 'GET' && request.method !== 'HEAD') plain(response, 405, 'Method Not Allowed');
  else if (channel !== undefined) redirect(config.channels[channel], request, response);
  else if (/^\/tag\/[^/]+$/.test(path)) plain(response, 200, path.slice('/tag/'.length));
  else if (existsSync(file) && statSync(file).isFile()) sendFile(file, failure, request, response);
  else plain(response, 404, 'Not Found');
}

function plain(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`);
}

/** Leads to a version as k3s's channel server does: its name is the last part of where the answer points. */
function redirect(version: string | undefined, request: IncomingMessage, response: ServerResponse): void {
  const location = `http://${request.headers.host}/tag/${encodeURIComponent(version ?? '')}`;
  if (version === undefined) plain(response, 404, 'Not Found');
  else response.writeHead(302, { location }).end();
}

function sendFile(
  file: string,
  failure: MirrorFailure | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { size, mtime } = statSync(file);
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  if (start > 0 && start >= size) {
    plain(response, 416, 'Range Not Satisfiable');
    return;
  }
  response.writeHead(start > 0 ? 206 : 200, {
    'content-type': 'application/octet-stream',
    'content-length': size - start,
    'accept-ranges': 'bytes',
    'last-modified': mtime.toUTCString(),
    ...(start > 0 ? { 'content-range': `bytes ${start}-${size - 1}/${size}` } : {}),
  });
  const half = Math.floor(size / 2);
  const stops = failure === 'truncated' || failure === 'stalled';
  if (request.method === 'HEAD' || size === 0) {
    response.end();
    return;
  }
  if (stops && half <= start) {
    request.socket.destroy();
    return;
  }
  const stream = createReadStream(file, stops ? { start, end: half - 1 } : { start });
  let offset = start;
  stream.on('data', (chunk) => {
    const bytes = Buffer.from(chunk);
    const changed = half - offset;
    if (failure === 'corrupt' && changed >= 0 && changed < bytes.length) bytes[changed] = 255 - (bytes[changed] ?? 0);
    offset += bytes.length;
    if (response.write(bytes)) return;
    stream.pause();
    response.once('drain', () => stream.resume());
  });
  stream.on('end', () => {
    if (failure === 'truncated') response.write('', () => request.socket.destroySoon());
    else if (failure !== 'stalled') response.end();
  });
  stream.on('error', () => request.socket.destroy());
  response.on('close', () => stream.destroy());
}
