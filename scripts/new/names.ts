/** The name of something new: what it may be, and the forms in which code and docs write it. */
import { type Problem, UserError } from '../../engine/errors.ts';

/** What can be made. */
export const KINDS = ['role', 'resource', 'playbook'] as const;

/** One of {@link KINDS}. */
export type Kind = (typeof KINDS)[number];

/** One name in every form. */
export interface Forms {
  /** Files and folders: `web-server`. */
  readonly kebab: string;
  /** Values: `webServer`. */
  readonly camel: string;
  /** Types: `WebServer`. */
  readonly pascal: string;
  /** Variables of a role: `web_server`. */
  readonly snake: string;
  /** Sentences: `Web server`. */
  readonly title: string;
}

/** The longest name that leaves room on a line. */
const MAX_LENGTH = 30;

const KEBAB = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

/** A role's name is a tag. Ansible gives these tags a meaning of their own. */
const SPECIAL_TAGS = ['all', 'always', 'never', 'tagged', 'untagged'];

/** Words that TypeScript does not take as the name of a value. */
const RESERVED =
  'arguments async await break case catch class const continue debugger default delete do else enum eval export extends false ' +
  'finally for function if implements import in instanceof interface let new null package private protected public return ' +
  'static super switch this throw true try typeof undefined var void while with yield';

/** The forms of a name that {@link checkName} accepts. */
export function formsOf(kebab: string): Forms {
  const pascal = kebab.replaceAll(/(?:^|-)(.)/g, (_, letter: string) => letter.toUpperCase());
  const words = kebab.replaceAll('-', ' ');
  return {
    kebab,
    pascal,
    camel: `${pascal.charAt(0).toLowerCase()}${pascal.slice(1)}`,
    snake: kebab.replaceAll('-', '_'),
    title: `${words.charAt(0).toUpperCase()}${words.slice(1)}`,
  };
}

/** @throws UserError when a file, a variable or a tag cannot be called this. */
export function checkName(kind: Kind, name: string): void {
  const problem = problemOf(kind, name);
  if (problem) throw new UserError(problem);
}

function problemOf(kind: Kind, name: string): Problem | undefined {
  const what = `invalid ${kind} name "${name}"`;
  if (!KEBAB.test(name)) {
    const near = name
      .replaceAll(/([a-z0-9])([A-Z])/g, '$1-$2')
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replaceAll(/^[-0-9]+|-+$/g, '');
    const expected = 'lower-case words with hyphens between them, a letter first: web-server';
    return { what, expected, hint: KEBAB.test(near) ? `did you mean "${near}"?` : undefined };
  }
  if (name.length > MAX_LENGTH) return { what, expected: `at most ${MAX_LENGTH} characters` };
  if (RESERVED.split(' ').includes(name)) {
    return { what: `${what}: a word of TypeScript`, hint: `say more: ${name}-${kind}` };
  }
  if (kind === 'role' && SPECIAL_TAGS.includes(name)) {
    return {
      what: `${what}: a role's name is a tag, and this tag has a meaning of its own`,
      hint: `say more: ${name}-hosts`,
    };
  }
  return undefined;
}
