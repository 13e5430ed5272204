/**
 * The files of a skeleton. They are real code, checked by `npm run check`, and laid out as the repository is. On the
 * way to their place names are replaced, and the imports of files outside the skeletons, which are nearer there.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Forms, formsOf, type Kind } from './names.ts';

/** The repository's root. */
export const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));

const SKELETONS = fileURLToPath(new URL('./skeletons/', import.meta.url));

/** Text files by their paths in the repository. */
export type Files = ReadonlyMap<string, string>;

/** The files of something new. @param roles For a playbook: the roles that it calls, in order. */
export function filesOf(kind: Kind, name: string, roles: readonly string[] = []): Files {
  const paths = readdirSync(SKELETONS, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(SKELETONS, join(entry.parentPath, entry.name)))
    .filter((path) => path.includes(`new-${kind}`));
  return new Map(
    paths.map((path) => {
      const text = relocated(readFileSync(join(SKELETONS, path), 'utf8'), path);
      const calling = kind === 'playbook' ? perRole(text, roles) : text;
      return [renamed(path, kind, name), renamed(calling, kind, name)];
    }),
  );
}

/** Imports as they are written in the skeleton's place: `'../../engine/index.ts'`. */
function relocated(text: string, path: string): string {
  const from = dirname(join(SKELETONS, path));
  const to = dirname(join(REPOSITORY, path));
  return text.replaceAll(/(from |import\()'(\.[^']+)'/g, (_, keyword: string, specifier: string) => {
    const file = resolve(from, specifier);
    const target = file.startsWith(SKELETONS) ? join(REPOSITORY, relative(SKELETONS, file)) : file;
    const path = relative(to, target);
    return `${keyword}'${path.startsWith('.') ? path : `./${path}`}'`;
  });
}

/** Each line that names the placeholder role is repeated for each role. */
function perRole(text: string, roles: readonly string[]): string {
  const lines = text.split('\n').flatMap((line) => {
    const ofRoles = roles.map((role) => renamed(line, 'role', role));
    return ofRoles[0] === line ? [line] : ofRoles;
  });
  return lines.join('\n');
}

/** The text with the placeholder of this kind (`new-role`, `newRole` ...) replaced by the name in the same form. */
function renamed(text: string, kind: Kind, name: string): string {
  const [placeholder, forms] = [formsOf(`new-${kind}`), formsOf(name)];
  return (Object.keys(forms) as (keyof Forms)[]).reduce(
    (renamed, form) => renamed.replaceAll(placeholder[form], forms[form]),
    text,
  );
}
