/** A real sshd for tests: unprivileged where we are, on a loopback port, in a folder of its own. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from '../../engine/remote/session.ts';

/** Kinds of host key, as ssh-keygen names them. */
export type KeyKind = 'ed25519' | 'ecdsa' | 'rsa';

/** How the server is to be. */
export interface SshdOptions {
  /** Its host keys. Default: ed25519 alone. */
  readonly hostKeys?: readonly KeyKind[];
  /** Further lines of sshd_config. */
  readonly config?: readonly string[];
}

/** A running sshd. */
export class Sshd {
  readonly port: number;
  readonly folder: string;
  /** Private key that it lets in. */
  readonly clientKey: string;
  readonly #pid: number;

  private constructor(port: number, folder: string, pid: number) {
    this.port = port;
    this.folder = folder;
    this.clientKey = join(folder, 'client');
    this.#pid = pid;
  }

  /** Starts one. @throws Error saying what to install where there is none. */
  static async start(options: SshdOptions = {}): Promise<Sshd> {
    const sshd = ['/usr/sbin/sshd', '/usr/bin/sshd', '/usr/local/sbin/sshd'].find(existsSync);
    if (!sshd) throw new Error('these tests need an sshd; on Debian: apt-get install openssh-server');
    // sshd started by root wants it.
    if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
    const folder = mkdtempSync(join(tmpdir(), 'heartwood-sshd-'));
    const kinds = options.hostKeys ?? ['ed25519'];
    for (const kind of kinds) newKey(join(folder, `host_${kind}`), kind);
    newKey(join(folder, 'client'), 'ed25519');
    writeFileSync(join(folder, 'authorized'), readFileSync(join(folder, 'client.pub')));
    const port = await freePort();
    const lines = [
      'ListenAddress 127.0.0.1',
      `Port ${port}`,
      ...kinds.map((kind) => `HostKey ${join(folder, `host_${kind}`)}`),
      `AuthorizedKeysFile ${join(folder, 'authorized')}`,
      // The folder is below /tmp, which all may write to.
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PidFile none',
      'UseDNS no',
      ...(options.config ?? []),
    ];
    writeFileSync(join(folder, 'sshd_config'), `${lines.join('\n')}\n`);
    const child = spawn(sshd, ['-D', '-e', '-f', join(folder, 'sshd_config')], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4000);
    });
    for (let i = 0; i < 100; i++) {
      if (child.exitCode !== null) throw new Error(`sshd did not start: ${said}`);
      if (await isListening(port)) return new Sshd(port, folder, child.pid ?? 0);
      await sleep(50);
    }
    child.kill();
    throw new Error(`sshd does not listen: ${said}`);
  }

  /** A connection to it, its key in a known_hosts file of the test's. */
  connection(more: Partial<Connection> = {}): Connection {
    return {
      name: 'testhost',
      transport: 'ssh',
      address: '127.0.0.1',
      port: this.port,
      user: userInfo().username,
      privateKeyFile: this.clientKey,
      sshArgs: more.sshArgs ?? this.knownHosts([`[127.0.0.1]:${this.port} ${this.publicKey('ed25519')}`]),
      connectTimeout: 10,
      hostKeys: 'strict',
      ...more,
    };
  }

  /** Writes a known_hosts file and gives the ssh options that name it. */
  knownHosts(lines: readonly string[], name = 'known_hosts'): string[] {
    const file = join(this.folder, name);
    writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
    return [
      '-F',
      'none',
      '-o',
      `UserKnownHostsFile=${file}`,
      '-o',
      'GlobalKnownHostsFile=none',
      '-o',
      'IdentitiesOnly=yes',
    ];
  }

  /** `ssh-ed25519 AAAA...` */
  publicKey(kind: KeyKind): string {
    return readFileSync(join(this.folder, `host_${kind}.pub`), 'utf8')
      .split(' ')
      .slice(0, 2)
      .join(' ');
  }

  /** `SHA256:...` as ssh-keygen prints it. */
  fingerprint(kind: KeyKind): string {
    const printed = execFileSync('ssh-keygen', ['-lf', join(this.folder, `host_${kind}.pub`)], { encoding: 'utf8' });
    return printed.split(' ')[1] ?? '';
  }

  /** Ends it and what it started for connections, and removes its folder. */
  stop(): void {
    spawnSync('pkill', ['-KILL', '-P', String(this.#pid)]);
    process.kill(this.#pid, 'SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Makes a key pair, `file` and `file.pub`. */
export function newKey(file: string, kind: KeyKind, passphrase = ''): void {
  execFileSync('ssh-keygen', [
    '-q',
    '-t',
    kind,
    ...(kind === 'rsa' ? ['-b', '2048'] : []),
    '-N',
    passphrase,
    '-C',
    '',
    '-f',
    file,
  ]);
}

/** A loopback port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
