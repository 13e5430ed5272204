/** How the tools reach the hosts: directly, or through a relay that adds latency and counts round trips and bytes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Lab } from '../lab/lab.ts';
import type { RelayTraffic } from '../lab/relay.ts';
import { benchPath, REPOSITORY } from './paths.ts';

/** A host of the inventory. */
export interface Target {
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

/** What every tool gets: the same hosts, the same key, and known hosts that it must check. */
export interface Access {
  readonly targets: readonly Target[];
  readonly user: 'root';
  readonly key: string;
  readonly knownHosts: string;
}

/** Which hosts of the lab a workload uses. */
export interface HostSelection {
  /** The first so many hosts of the lab. */
  readonly hosts: number;
  /** Further names in the inventory that nothing connects to. Default: none. */
  readonly extraHosts?: number;
  /**
   * Names of each host, each with a port of its own: a tool shares one connection among names of one address and port.
   * Default: 1.
   */
  readonly namesPerHost?: number;
}

/** The lab's hosts with nothing in between. */
export function directAccess(lab: Lab, { hosts, extraHosts = 0 }: HostSelection): Access {
  const targets = lab.hosts.slice(0, hosts).map(({ name, address }) => ({ name, address, port: 22 }));
  return {
    targets: [...targets, ...unusedTargets(extraHosts)],
    user: 'root',
    key: lab.files.key,
    knownHosts: lab.files.knownHosts,
  };
}

/** Names with addresses that no machine has: TEST-NET-1 (RFC 5737). */
function unusedTargets(count: number): readonly Target[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `unusedTargets-${i + 1}`,
    address: `192.0.2.${i + 1}`,
    port: 22,
  }));
}

/** Hosts behind a running relay. */
export interface DelayedAccess {
  /** The same hosts, at the relay's ports. */
  readonly access: Access;
  /** Round trips and bytes since the relay started. */
  traffic(): Promise<RelayTraffic>;
  close(): void;
}

/**
 * Starts a relay in front of the hosts, as a process of its own.
 *
 * @param rttMs Milliseconds that it adds to a round trip.
 */
export async function delayedAccess(
  lab: Lab,
  { hosts, extraHosts = 0, namesPerHost = 1 }: HostSelection,
  rttMs: number,
): Promise<DelayedAccess> {
  const direct = directAccess(lab, { hosts });
  const wanted = direct.targets.flatMap((target) =>
    Array.from({ length: namesPerHost }, (_, i) => ({
      ...target,
      name: namesPerHost === 1 ? target.name : `${target.name}-${i + 1}`,
    })),
  );
  const program = join(REPOSITORY, 'bench/relay-server.ts');
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', program, `${rttMs / 2}`], {
    cwd: REPOSITORY,
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
    readFileSync(direct.knownHosts, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]),
  );
  const knownHosts = benchPath('relay', `known_hosts-${child.pid}`);
  writeFileSync(
    knownHosts,
    targets.map(({ port }, i) => `[127.0.0.1]:${port} ${keys.get(wanted[i]?.address ?? '')}\n`).join(''),
  );
  return {
    access: { ...direct, targets: [...targets, ...unusedTargets(extraHosts)], knownHosts },
    traffic: async () => (await ask('traffic')) as RelayTraffic,
    close: () => {
      stdin.end();
      rmSync(knownHosts, { force: true });
    },
  };
}
