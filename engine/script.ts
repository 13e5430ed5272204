/**
 * Shell text for hosts. `sh` is a tagged template like zx's `$`: what is interpolated becomes a quoted argument, never
 * text. It quotes for any POSIX shell; zx quotes for bash, which breaks under dash.
 */
import { type Masked, mask, Secret, SecretText, type Unmasked } from './secret.ts';

/** One argument of a command. Never {@link Masked} text: the host would get `***` for the secret. */
export type Word = Unmasked | number | Secret | SecretText;

/** What may stand in `${...}`: an argument, several arguments, a piece of script, or a function the script calls. */
export type Arg = Word | Script | ShellFunction | readonly Word[];

type Part = Unmasked | Secret | SecretText;

/**
 * A shell function that scripts share. A script that interpolates it calls it by name. A session defines each function
 * once, however many scripts call it.
 */
export interface ShellFunction {
  /** Its name on the host, `hw_` first: `hw_file`. */
  readonly functionName: string;
  /** Its body, without the braces. `$1`, `$2` ... are its arguments. */
  readonly body: string;
  /** Functions its body calls. */
  readonly uses: readonly ShellFunction[];
}

/** Declares a {@link ShellFunction}. */
export function shellFunction(
  functionName: string,
  body: Unmasked,
  uses: readonly ShellFunction[] = [],
): ShellFunction {
  return { functionName, body: body.trim(), uses };
}

/** A piece of POSIX shell. Secrets in it stay {@link Secret}s until a session sends it. Immutable. */
export class Script {
  readonly #parts: readonly Part[];
  /** Functions that must be defined before it runs, each after those it uses. */
  readonly functions: readonly ShellFunction[];

  constructor(parts: readonly Part[], functions: readonly ShellFunction[] = []) {
    this.#parts = parts;
    this.functions = functions;
  }

  /**
   * The text a person may see, secrets as `***`. Never run it: masking also hides ordinary words that equal a secret.
   */
  get shown(): Masked {
    return mask(this.#parts.map((part) => (typeof part === 'string' ? part : quote(String(part)))).join(''));
  }

  /** The text that the host's shell gets. Only the remote session calls this. */
  reveal(): string {
    return this.#parts.map((part) => (typeof part === 'string' ? part : quote(part.reveal()))).join('');
  }

  /** @throws TypeError always: the text of a script is for people ({@link shown}) or for a host ({@link reveal}). */
  toString(): never {
    throw new TypeError(
      'a script stands in ordinary text: write sh`...` to make it part of a script, .shown to show it',
    );
  }

  toJSON(): string {
    return this.shown;
  }

  /**
   * Does it hold a secret? Such a script may go to a shell's stdin, but not into a command line, which shows in `ps`.
   */
  get holdsSecret(): boolean {
    return this.#parts.some((part) => typeof part !== 'string');
  }

  /** Scripts one after the other, with `separator` between them. Default: a line break. */
  static join(scripts: readonly Script[], separator = '\n'): Script {
    const parts = scripts.flatMap((script, i) => (i === 0 ? script.#parts : [separator, ...script.#parts]));
    return new Script(parts, [...new Set(scripts.flatMap((script) => script.functions))]);
  }

  /** A script from text, unquoted. For generated shell without arguments. */
  static raw(text: Unmasked): Script {
    return new Script([text]);
  }

  /** The script with the functions it uses, for a shell that does not have them. Secrets are revealed. */
  standalone(): string {
    return [...this.functions.map(definition), this.reveal()].join('\n');
  }

  /** @internal The pieces, for {@link sh} to splice. */
  get parts(): readonly Part[] {
    return this.#parts;
  }
}

/** A function as the shell reads it. */
export function definition({ functionName, body }: ShellFunction): string {
  return `${functionName}() {\n${body}\n}`;
}

/**
 * A script from a template: `` sh`install -m ${mode} ${from} ${to}` ``.
 *
 * - A string, number or secret becomes one quoted argument.
 * - An array becomes its elements, each quoted, with spaces between them.
 * - A {@link Script} is inserted as it is.
 * - A {@link ShellFunction} becomes its name, and is defined on the host first.
 */
export function sh(strings: TemplateStringsArray, ...args: readonly Arg[]): Script {
  const parts: Part[] = [];
  const functions = new Set<ShellFunction>();
  const need = (fn: ShellFunction): void => {
    fn.uses.forEach(need);
    functions.add(fn);
  };
  strings.forEach((text, i) => {
    parts.push(text);
    if (i >= args.length) return;
    const arg = args[i];
    if (arg === undefined) throw new TypeError(`sh: interpolation ${i + 1} is undefined, after: ${text.slice(-40)}`);
    if (arg instanceof Script) {
      parts.push(...arg.parts);
      arg.functions.forEach(need);
    } else if (typeof arg === 'object' && 'functionName' in arg) {
      parts.push(arg.functionName);
      need(arg);
    } else {
      const words = Array.isArray(arg) ? arg : [arg];
      words.forEach((word: Word, j) => {
        if (j > 0) parts.push(' ');
        parts.push(word instanceof Secret || word instanceof SecretText ? word : quote(String(word)));
      });
    }
  });
  return new Script(parts, [...functions]);
}

/** `word` as one argument for any POSIX shell. Plain words are not quoted, so that scripts are easy to read. */
export function quote(word: string): string {
  if (word.includes('\0')) throw new TypeError('a shell argument cannot hold a NUL byte');
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
