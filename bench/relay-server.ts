/**
 * The relay, as a process of its own: `relay-server.ts DELAY_MS`. It reads one JSON value per line. To an array of
 * hosts and ports it answers with the local ports that lead there, to anything else with the traffic so far. It ends
 * with its input.
 */
import { createInterface } from 'node:readline';
import { type Relay, startRelay, sumOf } from '../lab/relay.ts';

const delayMs = Number(process.argv[2]);
const relays: Relay[] = [];
for await (const line of createInterface({ input: process.stdin })) {
  const question: unknown = JSON.parse(line);
  if (Array.isArray(question)) {
    for (const to of question) relays.push(await startRelay(to, delayMs));
    console.log(JSON.stringify(relays.map(({ port }) => port)));
  } else {
    console.log(JSON.stringify(sumOf(relays.map(({ traffic }) => traffic))));
  }
}
for (const relay of relays) await relay.close();
