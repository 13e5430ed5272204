/**
 * ssh's own options, as Ansible passes them on (`ansible_ssh_common_args`). An option does what it does with ssh, or is
 * refused. The only ones that are ignored are about ssh's own process or its terminal.
 */
import { didYouMean, type Problem, UserError } from '../errors.ts';

/** Options by lower-case name, each with its values; only IdentityFile has several. As in ssh, the first value wins. */
export type SshOptions = ReadonlyMap<string, readonly string[]>;

/** Options that do what they do with ssh. */
const SUPPORTED = [
  'AddressFamily',
  'Compression',
  'ConnectTimeout',
  'ForwardAgent',
  'GlobalKnownHostsFile',
  'HashKnownHosts',
  'HostKeyAlias',
  'HostName',
  'IdentitiesOnly',
  'IdentityAgent',
  'IdentityFile',
  'KbdInteractiveAuthentication',
  'PasswordAuthentication',
  'Port',
  'PreferredAuthentications',
  'ProxyCommand',
  'ProxyJump',
  'PubkeyAuthentication',
  'ServerAliveCountMax',
  'ServerAliveInterval',
  'StrictHostKeyChecking',
  'User',
  'UserKnownHostsFile',
] as const;

/** Options that are ignored: one link per host is kept anyway, there is no terminal, nothing is asked. */
const IGNORED = [
  'AddKeysToAgent',
  'BatchMode',
  'CheckHostIP',
  'ConnectionAttempts',
  'ControlMaster',
  'ControlPath',
  'ControlPersist',
  'EscapeChar',
  'GSSAPIAuthentication',
  'GSSAPIDelegateCredentials',
  'HostbasedAuthentication',
  'LogLevel',
  'NumberOfPasswordPrompts',
  'RequestTTY',
  'TCPKeepAlive',
  'UpdateHostKeys',
  'VisualHostKey',
] as const;

/** Single-letter options that take a value, and the option each is short for. */
const WITH_VALUE: Readonly<Record<string, string>> = {
  i: 'IdentityFile',
  J: 'ProxyJump',
  l: 'User',
  p: 'Port',
  F: 'F',
  o: 'o',
};

/** Single-letter options without a value; undefined: ignored. */
const FLAGS: Readonly<Record<string, readonly [string, string] | undefined>> = {
  A: ['ForwardAgent', 'yes'],
  a: ['ForwardAgent', 'no'],
  C: ['Compression', 'yes'],
  '4': ['AddressFamily', 'inet'],
  '6': ['AddressFamily', 'inet6'],
  q: undefined,
  T: undefined,
  v: undefined,
  x: undefined,
};

/**
 * Reads ssh options. `-F FILE` is given back as the option `f`.
 * @param host Named in errors.
 * @throws UserError naming every option that is not supported.
 */
export function parseSshArgs(args: readonly string[], host: string): SshOptions {
  const options = new Map<string, string[]>();
  const problems: Problem[] = [];
  const refuse = (what: string, hint?: string): void => {
    problems.push({
      what: `ssh options: ${what}`,
      host,
      expected: `-o with ${SUPPORTED.join(', ')}; -J, -i, -F`,
      hint,
    });
  };
  const set = (name: string, value: string): void => {
    const key = name.toLowerCase();
    const known = options.get(key);
    if (!known) options.set(key, [value]);
    else if (key === 'identityfile') known.push(value);
  };
  const words = [...args];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const letter = /^-(.)/.exec(word)?.[1];
    const long = letter === undefined ? undefined : WITH_VALUE[letter];
    if (letter !== undefined && long !== undefined) {
      const value = word.length > 2 ? word.slice(2) : words.shift();
      if (value === undefined) refuse(`-${letter} needs a value`);
      else if (letter === 'o') readOption(value, set, refuse);
      else set(long, value);
    } else if (letter !== undefined && [...word.slice(1)].every((flag) => flag in FLAGS)) {
      for (const flag of word.slice(1)) {
        const option = FLAGS[flag];
        if (option) set(...option);
      }
    } else {
      refuse(`${JSON.stringify(word)} is not an option that is supported`);
    }
  }
  if (problems.length > 0) throw new UserError(problems);
  return options;
}

/** `Name=value` or `Name value`, as `-o` takes it. */
function readOption(
  text: string,
  set: (name: string, value: string) => void,
  refuse: (what: string, hint?: string) => void,
): void {
  const [, name, value] = /^\s*(\w+)(?:\s*=\s*|\s+)(.*?)\s*$/.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    refuse(`-o ${text}: it should read Name=value`);
    return;
  }
  const is = (known: string): boolean => known.toLowerCase() === name.toLowerCase();
  if (SUPPORTED.some(is)) {
    set(name, /^"(.*)"$/.exec(value)?.[1] ?? value);
  } else if (!IGNORED.some(is)) {
    const near = didYouMean(name, [...SUPPORTED, ...IGNORED]);
    refuse(`-o ${name} is not supported`, near ? `did you mean ${near}?` : undefined);
  }
}

/**
 * Reads what `ssh -G` prints: one option a line, lower-case, every option there is.
 */
export function parseSshConfigDump(text: string): SshOptions {
  const options = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [, name, value] = /^(\S+) (.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    const known = options.get(name);
    if (known) known.push(value);
    else options.set(name, [value]);
  }
  return options;
}
