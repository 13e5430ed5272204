/** The tables of examples in a folder: all of them, so that a new resource needs no entry in a list. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Example, type Place, WORK } from '../contract/example.ts';

const isTable = (value: unknown): value is readonly Example[] =>
  Array.isArray(value) && value.every((row) => typeof row?.name === 'string' && row.resource !== undefined);

/** Every exported array of examples, and what every default export makes for {@link WORK}. */
export async function exampleTables(folder: string): Promise<readonly (readonly Example[])[]> {
  const names = readdirSync(folder).filter((name) => name.endsWith('.ts'));
  const modules = names.sort().map((name): Promise<object> => import(pathToFileURL(join(folder, name)).href));
  return (await Promise.all(modules)).flatMap((module) =>
    Object.entries(module)
      .map(([name, value]) =>
        name === 'default' && typeof value === 'function' ? value({ folder: WORK } satisfies Place) : value,
      )
      .filter(isTable),
  );
}
