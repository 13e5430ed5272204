/** Roles by name, for scripts: a role is a folder here with a `role.ts` that exports it. */
import { readdirSync } from 'node:fs';
import { UserError } from '../engine/errors.ts';
import type { RoleFactory } from '../engine/role.ts';
import { roleProblems } from '../engine/role-problems.ts';
import type { VarsSchema } from '../engine/vars/schema.ts';

const HERE = new URL('./', import.meta.url);

/** The names of all roles, sorted. */
export function roleNames(): readonly string[] {
  return readdirSync(HERE, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && readdirSync(new URL(`${entry.name}/`, HERE)).includes('role.ts'))
    .map((entry) => entry.name)
    .sort();
}

/**
 * Loads a role.
 * @throws UserError when its `role.ts` does not load; Error when it exports no role of its folder's name.
 */
export async function loadRole(name: string): Promise<RoleFactory<VarsSchema>> {
  const loading: Promise<Readonly<Record<string, unknown>>> = import(new URL(`${name}/role.ts`, HERE).href);
  const exported = await loading.catch((error) => {
    throw new UserError(roleProblems(error, name));
  });
  const found = Object.values(exported).find((value): value is RoleFactory<VarsSchema> => isRole(value, name));
  if (!found) throw new Error(`roles/${name}/role.ts exports no role called ${name}`);
  return found;
}

function isRole(value: unknown, name: string): boolean {
  if (typeof value !== 'function' || !('role' in value)) return false;
  const { role } = value;
  return typeof role === 'object' && role !== null && 'name' in role && role.name === name;
}
