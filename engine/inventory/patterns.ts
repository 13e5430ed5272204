/** Ansible's host patterns: `server:!node-1`, `server[0]`, `k3s_cluster:&arm`, `node-*`, `~node-[12]`. */
import { isIPv6 } from 'node:net';
import { didYouMean, UserError } from '../errors.ts';

/** The hosts and groups that a pattern selects from. */
export interface PatternTargets<H> {
  /** Hosts by name, in inventory order. */
  readonly hosts: ReadonlyMap<string, H>;
  /** Groups by name, `all` and `ungrouped` included. */
  readonly groups: ReadonlyMap<string, readonly H[]>;
  /** A host that need not be in the inventory: `localhost`. */
  readonly implicit: (name: string) => H | undefined;
}

/** One part of a pattern. */
interface Term {
  readonly kind: 'add' | 'keep' | 'drop';
  readonly text: string;
}

/**
 * The hosts that match, each once: those of all plain parts, in order; then `&` keeps some; then `!` drops some.
 * @throws UserError on an unknown name, a subscript out of range, an invalid regular expression.
 */
export function selectHosts<H>(pattern: string, from: PatternTargets<H>): H[] {
  const terms = splitPattern(pattern, from).map(termOf);
  if (terms.length === 0) throw new UserError({ what: 'the host pattern is empty', expected: EXPECTED });
  const plain = terms.filter((term) => term.kind === 'add');
  // Where a host and a group share a name, Ansible takes the host, but for & and ! the group; load.ts warns.
  const named = (text: string): readonly H[] => {
    const host = from.hosts.get(text);
    return host === undefined ? matches(text, pattern, from) : [host];
  };
  const selected = new Set((plain.length > 0 ? plain : [ALL]).flatMap((term) => named(term.text)));
  for (const term of terms.filter((each) => each.kind === 'keep')) {
    const kept = new Set(matches(term.text, pattern, from));
    for (const host of selected) if (!kept.has(host)) selected.delete(host);
  }
  for (const term of terms.filter((each) => each.kind === 'drop')) {
    for (const host of matches(term.text, pattern, from)) selected.delete(host);
  }
  return [...selected];
}

const EXPECTED = 'hosts and groups joined by ":" or ",", &group, !group, group[0], group[1:3], node-*, ~regex';
const ALL: Term = { kind: 'add', text: 'all' };

/** The parts of a pattern. With a comma in it only commas separate, so that IPv6 addresses can be parts. */
export function splitPattern(pattern: string, from?: PatternTargets<unknown>): string[] {
  const whole = pattern.trim();
  if (from?.hosts.has(whole.replace(/^[!&]/, ''))) return [whole];
  if (whole.includes(',')) return whole.split(',').flatMap((part) => part.trim() || []);
  if (isIPv6(whole.replace(/^[!&]/, ''))) return [whole];
  const parts: string[] = [];
  let part = '';
  let depth = 0;
  for (const c of whole) {
    if (c === '[') depth++;
    else if (c === ']') depth = Math.max(0, depth - 1);
    if (c === ':' && depth === 0) {
      parts.push(part);
      part = '';
    } else part += c;
  }
  return [...parts, part].flatMap((each) => each.trim() || []);
}

function termOf(text: string): Term {
  if (text.startsWith('!')) return { kind: 'drop', text: text.slice(1).trim() };
  if (text.startsWith('&')) return { kind: 'keep', text: text.slice(1).trim() };
  return { kind: 'add', text };
}

/** The hosts of one part, which is given without its `&` or `!`. */
function matches<H>(text: string, pattern: string, from: PatternTargets<H>): readonly H[] {
  const exact = from.hosts.get(text);
  if (exact !== undefined && !from.groups.has(text)) return [exact];
  if (text.startsWith('~')) return byRegex(text, pattern, from);
  const subscript = /^(.+)\[(?:(-?\d+)|(\d+)([:-])(-?\d+)?)\]$/.exec(text);
  if (!subscript) return byName(text, pattern, from);
  const [, name = '', index, first, separator, last] = subscript;
  const hosts = byName(name, pattern, from);
  if (separator === '-') {
    throw new UserError({
      what: `"${text}" has an invalid subscript`,
      expected: `${name}[0], ${name}[-1], ${name}[0:2] (the last is included), ${name}[1:]`,
    });
  }
  if (index === undefined) {
    const end = last === undefined || last === '-1' ? hosts.length : Number(last) + 1;
    return hosts.slice(Number(first), Number(last) < -1 ? Number(last) + 1 : end);
  }
  const host = hosts.at(Number(index));
  if (host !== undefined) return [host];
  throw new UserError({
    what: `the pattern "${pattern}" asks for host ${index} of "${name}", which has ${hosts.length}`,
    expected: hosts.length === 0 ? `hosts in "${name}"` : `0 to ${hosts.length - 1}, or -1 for the last`,
  });
}

function byName<H>(name: string, pattern: string, from: PatternTargets<H>): readonly H[] {
  if (/[*?[]/.test(name)) return byTest(globTest(name), from);
  const group = from.groups.get(name);
  if (group) return group;
  const host = from.hosts.get(name) ?? from.implicit(name);
  if (host !== undefined) return [host];
  const near = didYouMean(name, [...from.groups.keys(), ...from.hosts.keys()]);
  const groups = [...from.groups.keys()];
  throw new UserError({
    what: `no host or group is called "${name}"${name === pattern ? '' : ` (in the pattern "${pattern}")`}`,
    expected: `groups ${groups.slice(0, 12).join(', ')}${groups.length > 12 ? ', ...' : ''}, or a host of the inventory`,
    hint: near && `did you mean "${near}"?`,
  });
}

function byRegex<H>(text: string, pattern: string, from: PatternTargets<H>): readonly H[] {
  try {
    const regex = new RegExp(`^(?:${text.slice(1)})`, 'u');
    return byTest((name) => regex.test(name), from);
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^.*: /, '') : String(error);
    throw new UserError({ what: `the pattern "${pattern}" has an invalid regular expression: ${why}` });
  }
}

function byTest<H>(test: (name: string) => boolean, from: PatternTargets<H>): readonly H[] {
  const found = new Set<H>();
  for (const [name, hosts] of from.groups) if (test(name)) for (const host of hosts) found.add(host);
  for (const [name, host] of from.hosts) if (test(name)) found.add(host);
  return [...found];
}

/** Shell wildcards: `*`, `?`, `[abc]`, `[!abc]`. */
function globTest(glob: string): (name: string) => boolean {
  const source = glob.replace(
    /\[(!?)([^\]]+)\]|([*?])|([\s\S])/g,
    (_, not: string, set: string, wild: string, one: string) => {
      if (wild !== undefined) return wild === '*' ? '.*' : '.';
      if (set !== undefined) return `[${not ? '^' : ''}${set.replace(/[\\^[]/g, '\\$&')}]`;
      return one.replace(/[\\^$.|+(){}[\]/]/g, '\\$&');
    },
  );
  const regex = new RegExp(`^${source}$`, 's');
  return (name) => regex.test(name);
}
