/** The contract as a test: every example of every table, on a host of its own. */

import type { Session } from '../../engine/remote/session.ts';
import { Secret } from '../../engine/secret.ts';
import type { Lab } from '../../lab/lab.ts';
import { openSession } from '../support/open-session.ts';
import { installHook, tryExample } from './contract.ts';
import { type Example, type Place, WORK } from './example.ts';

/** What is used of a tap test. */
interface Test {
  test(name: string, body: (t: Test) => Promise<void>): Promise<unknown>;
  strictSame(found: unknown, wanted: unknown, message: string): boolean;
  pass(message: string): boolean;
  comment(...text: unknown[]): void;
}

/** A session as root on a lab's host, the way an inventory reaches it. */
export function sessionOn(lab: Lab, name: string): Promise<Session> {
  const host = lab.host(name);
  return openSession({
    name,
    transport: 'ssh',
    address: host.address,
    port: host.shape.ssh_port,
    user: host.shape.user,
    privateKeyFile: lab.files.key,
    sshArgs: ['-o', `UserKnownHostsFile=${lab.files.knownHosts}`],
    become: { user: 'root', password: new Secret(host.shape.sudo_password) },
    connectTimeout: 30,
    hostKeys: 'strict',
  });
}

/** Every example keeps every clause. Ends by saying how many of each there were. */
export async function keepsContract(
  t: Test,
  session: Session,
  tables: Readonly<Record<string, readonly Example[] | ((place: Place) => readonly Example[])>>,
): Promise<void> {
  await installHook(session);
  const kinds = new Set<string>();
  let [examples, clauses] = [0, 0];
  for (const [table, rows] of Object.entries(tables)) {
    await t.test(table, async (t) => {
      for (const example of typeof rows === 'function' ? rows({ folder: WORK }) : rows) {
        await t.test(`${example.resource.kind}: ${example.name}`, async (t) => {
          for (const { clause, problems } of await tryExample(session, example)) {
            t.strictSame(problems, [], clause);
            clauses++;
          }
        });
        kinds.add(example.resource.kind);
        examples++;
      }
    });
  }
  const count = `the contract: ${clauses} clauses tried on ${examples} examples of ${kinds.size} kinds of resource`;
  t.pass(count);
  t.comment(count);
}
