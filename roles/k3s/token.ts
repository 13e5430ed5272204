/**
 * The cluster's token. It is made once, on the first server, readable by root only. The nodes that join read it from
 * there, as a Secret. It is in no argv, no environment and no log; config.yaml names its file.
 */

import { type Fact, fact, type HostView, type Resource, Secret, sh } from '../../engine/index.ts';
import { type CommandOptions, command } from '../../engine/resources/command.ts';
import { file } from '../../engine/resources/file.ts';
import { DATA } from './etcd.ts';

/** Where we put the token that k3s is started with. */
export const TOKEN_FILE = '/etc/rancher/k3s/cluster-token';

/** A token of the cluster: `K10<hash of its CA>::server:<password>`, as a running server has it. */
export const clusterToken: Fact<Secret | undefined> = secretFile('k3s token', `${DATA}/server/token`);

/** The token that this host is started with. */
export const ownToken: Fact<Secret | undefined> = secretFile('own k3s token', TOKEN_FILE);

function secretFile(name: string, path: string): Fact<Secret | undefined> {
  return fact({
    name,
    script: sh`if [ -s ${path} ]; then cat ${path}; fi`,
    parse: ({ stdout, exitCode }) => {
      if (exitCode !== 0) throw new Error(`${path} could not be read`);
      const token = stdout.trim();
      if (!token) return undefined;
      // The password alone is masked too, wherever it appears.
      new Secret(passwordOf(token));
      return new Secret(token);
    },
    example: undefined,
  });
}

/** The password in a token of either form. */
function passwordOf(token: string): string {
  return /^K1[01][0-9a-f]{64}::(?:[^:]*:)?(.*)$/.exec(token)?.[1] ?? token;
}

/** Do two tokens have the same password? The full form names a CA besides. */
export function sameToken(a: Secret, b: Secret): boolean {
  return passwordOf(a.reveal()) === passwordOf(b.reveal());
}

/** The token of the cluster, from the first of the servers that has one. */
export function firstToken(
  servers: readonly HostView[],
  tokens: ReadonlyMap<string, Secret | undefined>,
): Secret | undefined {
  return servers.flatMap(({ name }) => tokens.get(name) ?? [])[0];
}

/** What is known when a node's token is decided. */
export interface TokenSources {
  /** `k3s_token`. */
  readonly given: Secret | undefined;
  /** What the node has already. */
  readonly own: Secret | undefined;
  /** What the cluster has; undefined as long as there is none. */
  readonly cluster: Secret | undefined;
  /** Is this the server that begins a new cluster? */
  readonly begins: boolean;
}

/**
 * The node's token file. The cluster's token wins over all: in its full form, by which a joining node checks the CA of
 * the server it talks to. A node that has the right password already keeps its file.
 */
export function tokenFile({ given, own, cluster, begins }: TokenSources): Resource {
  const known = cluster ? (own && sameToken(own, cluster) ? own : cluster) : (given ?? own);
  if (known) return file({ path: TOKEN_FILE, content: new Secret(`${known.reveal()}\n`), mode: '0600' });
  if (begins) {
    return command(
      sh`
umask 077
hw_new=${TOKEN_FILE}.$$
head -c 16 /dev/urandom | od -An -v -tx1 | tr -d ' \\n' >$hw_new && echo >>$hw_new || exit
[ "$(wc -c <$hw_new)" = 33 ] && sync $hw_new && mv $hw_new ${TOKEN_FILE}`,
      { id: 'make the token', creates: TOKEN_FILE },
    );
  }
  return unavailable(
    sh`echo 'no server that was reached has the token of a cluster' >&2; exit 1`,
    { id: 'token of the cluster', creates: TOKEN_FILE },
    {
      what: 'no server that was reached has the token of a cluster',
      hint: 'bring the servers back, then run again',
    },
  );
}

/** A task that cannot be done yet: check mode lists it, a real run fails here and says why. */
export function unavailable(
  script: Parameters<typeof command>[0],
  options: CommandOptions,
  explanation: ReturnType<NonNullable<Resource['explain']>>,
): Resource {
  return { ...command(script, options), explain: () => explanation };
}
