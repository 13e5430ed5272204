/** A client of the API that asks again and again, and afterwards knows for how long the API was away. */
import { request } from 'node:https';
import type { LabHost } from '../../lab/host.ts';

/** What a poll saw. Times in milliseconds. */
export interface PollResult {
  readonly requests: number;
  readonly failed: number;
  /** The longest time between two answers. */
  readonly longestGap: number;
  /** What went wrong, once each. */
  readonly reasons: readonly string[];
}

/** Milliseconds until a request counts as failed. */
const REQUEST_TIMEOUT = 3000;

/** The admin's certificate, as a server has it. */
export async function adminCertificate(server: LabHost): Promise<{ readonly cert: string; readonly key: string }> {
  const tls = '/var/lib/rancher/k3s/server/tls/client-admin';
  return { cert: await server.read(`cat ${tls}.crt`), key: await server.read(`cat ${tls}.key`) };
}

/** Asks `https://address:6443/readyz` every `every` ms, each time over a connection of its own, until stopped. */
export function pollApi(
  address: string,
  credentials: { readonly cert: string; readonly key: string },
  every = 100,
): { stop(): Promise<PollResult> } {
  let requests = 0;
  let failed = 0;
  let lastAnswer = performance.now();
  let longestGap = 0;
  const reasons = new Set<string>();
  const pending = new Set<Promise<void>>();

  const ask = (): Promise<void> =>
    new Promise((resolve) => {
      requests++;
      const fail = (reason: string): void => {
        failed++;
        reasons.add(reason);
        resolve();
      };
      const options = { ...credentials, rejectUnauthorized: false, agent: false, timeout: REQUEST_TIMEOUT };
      const call = request(`https://${address}:6443/readyz`, options, (response) => {
        let said = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          said += text;
        });
        response.on('end', () => {
          if (response.statusCode !== 200) return fail(`HTTP ${response.statusCode}: ${said.slice(0, 300)}`);
          const now = performance.now();
          longestGap = Math.max(longestGap, now - lastAnswer);
          lastAnswer = now;
          resolve();
        });
      });
      call.on('timeout', () => call.destroy(new Error(`no answer within ${REQUEST_TIMEOUT} ms`)));
      call.on('error', ({ message }) => fail(message));
      call.end();
    });

  const timer = setInterval(() => {
    const asked = ask().finally(() => pending.delete(asked));
    pending.add(asked);
  }, every);
  return {
    stop: async () => {
      clearInterval(timer);
      await Promise.all(pending);
      longestGap = Math.max(longestGap, performance.now() - lastAnswer);
      return { requests, failed, longestGap: Math.round(longestGap), reasons: [...reasons] };
    },
  };
}
