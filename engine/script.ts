/**
 * Shell text for hosts. `sh` is like zx's tagged template: what is interpolated is one argument, quoted for any POSIX shell.
 * (zx quotes for bash; dash does not understand that.)
 */
import { type Masked, mask, Secret, SecretText, type Unmasked } from './secret.ts';

/** One argument of a command. Never {@link Masked} text: the host would get `***` for the secret. */
export type Word = Unmasked | number | Secret | SecretText;

/** What may stand in `${...}`: an argument, several arguments, a piece of script, or a function the script calls. */
export type Arg = Word | Script | ShellFunction | readonly Word[];

type Part = Unmasked | Secret | SecretText;

/**
 * A shell function that scripts share. A script that interpolates it calls it by name; the session defines each function
 * once, however many scripts of it name it.
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

/** A piece of POSIX shell. Its secrets are only revealed to the host that runs it. Immutable. */
export class Script {
  readonly #parts: readonly Part[];
  /** Functions that must be defined before it runs, each after those it uses. */
  readonly functions: readonly ShellFunction[];

  constructor(parts: readonly Part[], functions: readonly ShellFunction[] = []) {
    this.#parts = parts;
    this.functions = functions;
  }

  /** The text for people: secrets as `***`. */
  get shown(): Masked {
    return mask(this.#parts.map((part) => (typeof part === 'string' ? part : quote(String(part)))).join(''));
  }

  /** The text the host's shell gets. Only the remote session calls this. */
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

  /** Scripts one after the other, with `separator` between them (default: a new line). */
  static join(scripts: readonly Script[], separator = '\n'): Script {
    const parts = scripts.flatMap((script, i) => (i === 0 ? script.#parts : [separator, ...script.#parts]));
    return new Script(parts, [...new Set(scripts.flatMap((script) => script.functions))]);
  }

  /** Text taken as it is, for generated shell that no argument goes into. */
  static raw(text: Unmasked): Script {
    return new Script([text]);
  }

  /** The script with the functions it uses, for a shell that does not have them. Its secrets are revealed. */
  standalone(): string {
    return [...this.functions.map(definition), this.reveal()].join('\n');
  }

  /** @internal The pieces, for {@link sh} to splice. */
  get parts(): readonly Part[] {
    return this.#parts;
  }
}

/** A function as shell reads it. */
export function definition({ functionName, body }: ShellFunction): string {
  return `${functionName}() {\n${body}\n}`;
}

/**
 * A script from a template: `` sh`install -m ${mode} ${from} ${to}` ``. Strings, numbers and secrets become one quoted
 * argument; an array becomes its elements, quoted, with spaces between; a {@link Script} is spliced in; a
 * {@link ShellFunction} stands as its name and is defined on the host first.
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

/** `word` as one argument for any POSIX shell. Plain words stay as they are, so that scripts read well. */
export function quote(word: string): string {
  if (word.includes('\0')) throw new TypeError('a shell argument cannot hold a NUL byte');
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
