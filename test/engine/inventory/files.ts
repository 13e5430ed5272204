/** Inventories for tests, in folders of their own. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { UserError } from '../../../engine/errors.ts';
import type { Inventory } from '../../../engine/inventory/inventory.ts';
import { loadInventory } from '../../../engine/inventory/load.ts';

/** A folder of files that is removed when the test ends. */
export function folderOf(t: { teardown(fn: () => void): void }, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'hw-inventory-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

/** What a test asks for. */
export interface TestInventory {
  readonly sources?: readonly string[];
  readonly extraVars?: readonly string[];
  /** Folder of the playbook, below the test's folder. */
  readonly playbook?: string;
}

/** Loads an inventory from files given as text: `hosts`, or those named. */
export function inventoryOf(
  t: { teardown(fn: () => void): void },
  files: Readonly<Record<string, string>>,
  { sources = ['hosts'], extraVars = [], playbook }: TestInventory = {},
): Promise<Inventory> {
  const folder = folderOf(t, files);
  return loadInventory({
    sources: sources.map((source) => (source.includes(',') ? source : join(folder, source))),
    extraVars: extraVars.map((arg) => arg.replace('@', `@${folder}/`)),
    playbookDirectory: playbook === undefined ? undefined : join(folder, playbook),
  });
}

/** What a user would read, with the test's folder left out; or `no error`. */
export async function messageOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return 'no error';
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.message.replace(/\S*hw-inventory-\w+\//g, '');
  }
}

/** Names of hosts. */
export function names(hosts: readonly { readonly name: string }[] | undefined): string {
  return (hosts ?? []).map((host) => host.name).join(' ');
}
