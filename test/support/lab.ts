/** Labs for tests that need real hosts. */
import { readdirSync } from 'node:fs';
import { Lab } from '../../lab/lab.ts';
import { allStates } from '../../lab/names.ts';
import type { LabRequest } from '../../lab/shape.ts';

/** What is used of a tap test. */
interface Test {
  readonly teardown: (load: () => Promise<void>) => void;
  readonly comment: (...text: unknown[]) => void;
}

/**
 * A lab for this test alone, taken down when the test ends. Booting three AMD64 hosts takes under two seconds, so a
 * test file that breaks or changes its hosts has its own.
 */
export async function useLab(t: Test, request: LabRequest): Promise<Lab> {
  await takeDownOrphans();
  const lab = await Lab.up({ ...request, name: `test-${process.pid}-${++labs}` }, (line) => t.comment(line));
  t.teardown(() => lab.down());
  return lab;
}

let labs = 0;

/** Takes down the labs of test processes that were killed before they could. */
export async function takeDownOrphans(): Promise<void> {
  const running = new Set(readdirSync('/proc'));
  for (const { name } of allStates()) {
    const [, owner] = /^test-(\d+)-\d+$/.exec(name) ?? [];
    if (owner !== undefined && !running.has(owner)) await Lab.open(name).down();
  }
}
