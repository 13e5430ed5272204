/** How the tools reach the hosts: directly, or through a relay that stands for distance and counts what passes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Lab } from '../lab/lab.ts';
import type { RelayTraffic } from '../lab/relay.ts';
import { place, repository } from './places.ts';

/** A host as an inventory names it. */
export interface Target {
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

/** What every tool is given: the same hosts, the same key, the same known hosts, all checked. */
export interface Access {
  readonly targets: readonly Target[];
  readonly user: 'root';
  readonly key: string;
  readonly knownHosts: string;
}

/** Which hosts of a lab, and how often each. */
export interface Wanted {
  /** The first so many hosts of the lab. */
  readonly hosts: number;
  /** So many names beside them that nothing connects to. */
  readonly further?: number;
  /** Each host under so many names, each with a port of its own: tools share connections to one address and port. */
  readonly times?: number;
}

/** The lab's hosts without anything in between. */
export function direct(lab: Lab, { hosts, further = 0 }: Wanted): Access {
  const targets = lab.hosts.slice(0, hosts).map(({ name, address }) => ({ name, address, port: 22 }));
  return {
    targets: [...targets, ...elsewhere(further)],
    user: 'root',
    key: lab.files.key,
    knownHosts: lab.files.knownHosts,
  };
}

/** Names with addresses that nobody has: TEST-NET-1 (RFC 5737). */
function elsewhere(count: number): readonly Target[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `elsewhere-${i + 1}`,
    address: `192.0.2.${i + 1}`,
    port: 22,
  }));
}

/** A running relay in front of an access's hosts. */
export interface Distance {
  /** The same hosts, as they are reached through it. */
  readonly access: Access;
  /** What passed since it was started. */
  traffic(): Promise<RelayTraffic>;
  close(): void;
}

/**
 * Puts a relay in front of the hosts, in a process of its own.
 *
 * @param rttMs How much longer a round trip takes.
 */
export async function through(lab: Lab, { hosts, further = 0, times = 1 }: Wanted, rttMs: number): Promise<Distance> {
  const near = direct(lab, { hosts });
  const wanted = near.targets.flatMap((target) =>
    Array.from({ length: times }, (_, i) => ({
      ...target,
      name: times === 1 ? target.name : `${target.name}-${i + 1}`,
    })),
  );
  const program = join(repository, 'bench/relay-server.ts');
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', program, `${rttMs / 2}`], {
    cwd: repository,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  if (!child.stdin || !child.stdout) throw new Error('the relay has no pipes');
  const { stdin } = child;
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (question: unknown): Promise<unknown> => {
    stdin.write(`${JSON.stringify(question)}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error('the relay has ended');
    return JSON.parse(value);
  };
  const ports = (await ask(wanted.map(({ address, port }) => ({ host: address, port })))) as number[];
  const targets = wanted.map(({ name }, i) => ({ name, address: '127.0.0.1', port: ports[i] ?? 0 }));
  const keys = new Map(
    readFileSync(near.knownHosts, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]),
  );
  const knownHosts = place('relay', `known_hosts-${child.pid}`);
  writeFileSync(
    knownHosts,
    targets.map(({ port }, i) => `[127.0.0.1]:${port} ${keys.get(wanted[i]?.address ?? '')}\n`).join(''),
  );
  return {
    access: { ...near, targets: [...targets, ...elsewhere(further)], knownHosts },
    traffic: async () => (await ask('traffic')) as RelayTraffic,
    close: () => {
      stdin.end();
      rmSync(knownHosts, { force: true });
    },
  };
}
