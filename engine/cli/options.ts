/**
 * One table of options, from which come parsing, `--help`, and the hint for a misspelt flag. Names are
 * ansible-playbook's wherever it has one.
 */
import { parseArgs } from 'node:util';
import { didYouMean, ExitCode, UserError } from '../errors.ts';

/** One option of a command. */
export interface Option {
  /**
   * `text` takes a value, `number` a whole number, `list` may be repeated; `flag` is given or not, `count` says how
   * often.
   */
  readonly kind: 'text' | 'list' | 'number' | 'flag' | 'count';
  readonly short?: string;
  /** What stands for the value in `--help`. */
  readonly value?: string;
  /** For `text`: the only values allowed. */
  readonly choices?: readonly string[];
  readonly help: string;
}

/** A command's options by their long names. */
export type OptionTable = Readonly<Record<string, Option>>;

/** What the user gave, typed by the table. */
export type OptionValues<T extends OptionTable> = {
  readonly [K in keyof T]: T[K]['kind'] extends 'text'
    ? string | undefined
    : T[K]['kind'] extends 'list'
      ? readonly string[]
      : T[K]['kind'] extends 'number'
        ? number | undefined
        : T[K]['kind'] extends 'flag'
          ? boolean
          : number;
};

/** A parsed command line. */
export interface CommandLine<T extends OptionTable> {
  readonly values: OptionValues<T>;
  /** Arguments that belong to no option. */
  readonly words: readonly string[];
}

/** Which inventory, which hosts, how to reach them: shared by every command that talks to hosts. */
export const CONNECTION_OPTIONS = {
  inventory: {
    kind: 'list',
    short: 'i',
    value: 'PATH',
    help: 'inventory file or directory (INI or YAML), or a comma-separated host list ("node-1,"); may be repeated',
  },
  limit: { kind: 'text', short: 'l', value: 'PATTERN', help: 'only these hosts; other hosts may be asked for facts' },
  'extra-vars': {
    kind: 'list',
    short: 'e',
    value: 'VARS',
    help: 'variables that win over all others: key=value, JSON, or @file; may be repeated',
  },
  forks: { kind: 'number', short: 'f', value: 'N', help: 'at most N hosts at once (default 25)' },
  user: { kind: 'text', short: 'u', value: 'NAME', help: 'connect as this user' },
  'private-key': { kind: 'text', value: 'FILE', help: 'authenticate with this key' },
  connection: { kind: 'text', short: 'c', value: 'KIND', choices: ['ssh', 'local'], help: 'ssh (default) or local' },
  'ssh-common-args': { kind: 'text', value: 'ARGS', help: 'options for ssh: "-o ProxyJump=bastion"' },
  'ask-pass': { kind: 'flag', short: 'k', help: 'ask for the connection password' },
  become: { kind: 'flag', short: 'b', help: 'become root, also where a play says otherwise' },
  'become-user': { kind: 'text', value: 'NAME', help: 'become this user instead of root' },
  'ask-become-pass': { kind: 'flag', short: 'K', help: 'ask for the sudo password' },
  timeout: { kind: 'number', short: 'T', value: 'SECONDS', help: 'give up connecting after this long (default 10)' },
  'accept-new-host-keys': {
    kind: 'flag',
    help: 'accept hosts that known_hosts does not know, and add them; a changed key is refused all the same',
  },
  verbose: { kind: 'count', short: 'v', help: 'also show tasks with nothing to do (-v) and their output (-vv)' },
  help: { kind: 'flag', short: 'h', help: 'show this' },
} as const satisfies OptionTable;

/** The options of a playbook. */
export const PLAYBOOK_OPTIONS = {
  ...CONNECTION_OPTIONS,
  tags: { kind: 'list', short: 't', value: 'TAGS', help: 'only tasks with one of these tags; role names are tags' },
  'skip-tags': { kind: 'list', value: 'TAGS', help: 'all but tasks with one of these tags' },
  check: { kind: 'flag', short: 'C', help: 'change nothing; show what would be changed' },
  diff: { kind: 'flag', short: 'D', help: 'show what differs, line by line' },
  'list-hosts': { kind: 'flag', help: 'list the hosts of each play and stop' },
  'list-tasks': {
    kind: 'flag',
    help: 'list the tasks of each play, as they are for a new host, and stop; connects to nothing',
  },
  'list-tags': { kind: 'flag', help: 'list the tags and stop' },
  'no-prefetch': {
    kind: 'flag',
    help: 'ask a host for each stage separately, not for all stages at once before the first; the outcome is the same',
  },
  'show-scripts': { kind: 'flag', help: 'show every script before it is sent' },
  profile: { kind: 'flag', help: 'show where the time went: phases, round trips, bytes, slowest tasks' },
  output: {
    kind: 'text',
    value: 'FORMAT',
    choices: ['text', 'json', 'junit'],
    help: 'text (default), json or junit, on stdout when the run is over',
  },
  version: { kind: 'flag', help: "show Heartwood's version" },
} as const satisfies OptionTable;

/**
 * Reads a command line.
 * @throws UserError (exit code 5) naming every unknown option, with the one that was probably meant.
 */
export function parseCommandLine<T extends OptionTable>(argv: readonly string[], table: T): CommandLine<T> {
  const entries = Object.entries(table) as [string, Option][];
  const parsed = parseArgs({
    args: [...argv],
    allowPositionals: true,
    strict: false,
    tokens: true,
    options: Object.fromEntries(
      entries.map(([name, { kind, short }]) => [
        name,
        {
          type: kind === 'flag' || kind === 'count' ? ('boolean' as const) : ('string' as const),
          multiple: kind === 'list' || kind === 'count',
          ...(short ? { short } : {}),
        },
      ]),
    ),
  });
  const problems = parsed.tokens.flatMap((token) => {
    if (token.kind !== 'option') return [];
    const option = Object.hasOwn(table, token.name) ? table[token.name] : undefined;
    if (!option) return [unknownOption(token.rawName, table)];
    const takesValue = option.kind !== 'flag' && option.kind !== 'count';
    // `-u --check` is two options, as for Python's argparse. Taken as a user's name, check mode would be lost.
    const isOption = !token.inlineValue && /^-\S/.test(token.value ?? '') && !/\s/.test(token.value ?? '');
    if (takesValue && (token.value === undefined || isOption)) {
      return [{ what: `${token.rawName} needs a value: ${token.rawName} ${option.value}` }];
    }
    if (!takesValue && token.value !== undefined) return [{ what: `${token.rawName} takes no value` }];
    if (option.kind === 'number' && !/^[1-9]\d*$/.test(token.value ?? '')) {
      return [{ what: `invalid value "${token.value}" for ${token.rawName}`, expected: 'a whole number above 0' }];
    }
    if (option.choices && !option.choices.includes(token.value ?? '')) {
      return [{ what: `invalid value "${token.value}" for ${token.rawName}`, expected: option.choices.join(', ') }];
    }
    return [];
  });
  if (problems.length > 0) throw new UserError(problems, ExitCode.usage);

  const values = Object.fromEntries(
    entries.map(([name, { kind }]) => {
      const value = parsed.values[name];
      if (kind === 'count') return [name, Array.isArray(value) ? value.length : 0];
      if (kind === 'list') return [name, value ?? []];
      if (kind === 'flag') return [name, value === true];
      return [name, kind === 'number' && value !== undefined ? Number(value) : value];
    }),
  );
  return { values: values as OptionValues<T>, words: parsed.positionals };
}

function unknownOption(rawName: string, table: OptionTable) {
  const near = didYouMean(rawName.replace(/^-+/, ''), Object.keys(table));
  return {
    what: `unknown option ${rawName}`,
    hint: near ? `did you mean --${near}?` : '--help lists the options',
  };
}

/** The width of a help text, in columns. */
const HELP_WIDTH = 100;

/** The exit codes of commands that run on hosts. */
const EXIT_CODES = `0 done, 1 the playbook, its inventory or its variables are wrong (no host was touched), 2 a host failed,
    4 a host was unreachable, 5 the command line is wrong, 99 stopped by Ctrl-C, 250 a bug in Heartwood.`;

/**
 * The text of `--help`: usage, what the command does, its options and exit codes.
 * @param exitCodes Those of this command. Default: those of commands that run on hosts.
 */
export function helpText(usage: string, about: string, table: OptionTable, exitCodes = EXIT_CODES): string {
  const rows = Object.entries(table).map(([name, option]) => {
    const value = option.value ? ` ${option.value}` : '';
    return [`${option.short ? `-${option.short}, ` : '    '}--${name}${value}`, option.help] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length)) + 4;
  return [
    `Usage: ${usage}`,
    '',
    about,
    '',
    'Options:',
    ...rows.map(([left, help]) => `  ${left}`.padEnd(width) + wrapped(help, HELP_WIDTH - width, width)),
    '',
    `Exit codes: ${wrapped(exitCodes, HELP_WIDTH - 12, 12)}`,
  ].join('\n');
}

/** Text in lines of at most `width` characters; all but the first begin at column `indent`. */
function wrapped(text: string, width: number, indent: number): string {
  const lines = [''];
  for (const word of text.split(/\s+/)) {
    const last = lines[lines.length - 1] ?? '';
    if (last === '') lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length <= Math.max(20, width)) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join(`\n${' '.repeat(indent)}`);
}

/** `a,b` and repeated options as one list, as Ansible reads `--tags`. */
export function commaList(values: readonly string[]): readonly string[] {
  return values.flatMap((value) => value.split(',').map((word) => word.trim())).filter((word) => word !== '');
}
