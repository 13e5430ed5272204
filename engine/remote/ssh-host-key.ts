/** Decides about the key a host shows. ssh2 itself would take any. */
import { randomBytes } from 'node:crypto';
import { appendKnownHost, fingerprint, hostName, KnownHosts, type KnownHostsLine, keyType } from './known-hosts.ts';
import { LinkError } from './session.ts';
import type { SshTarget } from './ssh-target.ts';

/** Signature algorithms, ssh2's defaults and order; a key type other than RSA has one, of its own name. */
const ALGORITHMS = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
  'ssh-rsa',
] as const;

type Algorithm = (typeof ALGORITHMS)[number];

/** Checks the key of one host, at one connection. */
export class HostKeyCheck {
  /** Why the key was refused. */
  refusal: LinkError | undefined;
  readonly #target: SshTarget;
  readonly #known: KnownHosts;

  private constructor(target: SshTarget, known: KnownHosts) {
    this.#target = target;
    this.#known = known;
  }

  /** Reads the known_hosts files. @throws LinkError when one cannot be read. */
  static async prepare(target: SshTarget): Promise<HostKeyCheck> {
    const { userFiles, globalFiles } = target.hostKeys;
    try {
      return new HostKeyCheck(target, await KnownHosts.load([...userFiles, ...globalFiles]));
    } catch (error) {
      throw new LinkError('host key', {
        what: `known_hosts cannot be read: ${error instanceof Error ? error.message : String(error)}`,
        host: target.name,
        hint: 'correct its permissions, or name another: --ssh-common-args="-o UserKnownHostsFile=..."',
      });
    }
  }

  /** The algorithms to ask for, those of known keys first: else a host with several keys would look changed. */
  get algorithms(): Algorithm[] {
    const types = this.#known.types(...this.#name);
    const known = (algorithm: Algorithm): boolean =>
      types.includes(/^(rsa-|ssh-rsa)/.test(algorithm) ? 'ssh-rsa' : algorithm);
    return [...ALGORITHMS.filter(known), ...ALGORITHMS.filter((algorithm) => !known(algorithm))];
  }

  /** For ssh2's `hostVerifier`. */
  readonly verifier = (key: Buffer, verify: (accepted: boolean) => void): void => {
    this.#decide(key).then(
      () => verify(true),
      (error: unknown) => {
        this.refusal =
          error instanceof LinkError ? error : this.#refuse(`its key could not be checked: ${String(error)}`, '');
        verify(false);
      },
    );
  };

  get #name(): [string, number] {
    const { host, port, hostKeys } = this.#target;
    return hostKeys.alias === undefined ? [host, port] : [hostKeys.alias, 22];
  }

  /** @throws LinkError when the key is refused. */
  async #decide(key: Buffer): Promise<void> {
    const verdict = this.#known.check(...this.#name, key);
    const shown = `${keyType(key)} ${fingerprint(key)}`;
    const name = hostName(...this.#name);
    if (verdict.status === 'known') return;
    if (verdict.status === 'revoked') {
      throw this.#refuse(
        `${name} shows a key that is revoked at ${location(verdict.line)}: ${shown}`,
        'do not log in there; give the host a new key, and make that known',
      );
    }
    if (verdict.status === 'changed') {
      const old = verdict.lines.map((line) => `${location(line)} (${line.type} ${fingerprint(line.key)})`).join(', ');
      throw this.#refuse(
        `the host key of ${name} has changed: it shows ${shown}, known is ${old}. Somebody may be in between`,
        'if the host was reinstalled, compare the fingerprint on its console ' +
          '(ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub), ' +
          `then remove the old key: ssh-keygen -R '${name}' -f ${verdict.lines[0]?.file}`,
      );
    }
    if (this.#target.hostKeys.mode === 'accept-new') return this.#accept(key, name);
    const authority = verdict.authority
      ? `; ${location(verdict.authority)} names an authority for it, but host certificates cannot be checked here`
      : '';
    throw this.#refuse(
      `the host key of ${name} is not known: ${shown}${authority}`,
      'compare the fingerprint with the host, then run with --accept-new-host-keys once, or log in with ssh once',
    );
  }

  async #accept(key: Buffer, name: string): Promise<void> {
    const { userFiles, hash } = this.#target.hostKeys;
    const [file] = userFiles;
    // `-o UserKnownHostsFile=none`: accept the key and write nothing.
    if (file === undefined || file === '/dev/null') return;
    try {
      await appendKnownHost(file, ...this.#name, key, hash ? randomBytes(20) : undefined);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw this.#refuse(
        `the new host key of ${name} could not be written to ${file}: ${why}`,
        `make ${file} writable`,
      );
    }
  }

  #refuse(what: string, hint: string): LinkError {
    return new LinkError('host key', { what, host: this.#target.name, hint });
  }
}

function location({ file, line }: KnownHostsLine): string {
  return `${file}:${line}`;
}
