/** Shapes written in YAML, read strictly: all errors of a file are reported at once, each with its place. */
import { existsSync, readFileSync } from 'node:fs';
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { didYouMean, type Problem, UserError } from '../engine/errors.ts';
import { completeShape, type HostShape, hostDefaults, type LabShape } from './shape.ts';

/** What a host's field takes: how it is said to people, and whether a value is one. */
type Rule = readonly [allowed: string, holds: (value: unknown) => boolean];

const oneOf = (...words: string[]): Rule => [
  words.join(', '),
  (value) => typeof value === 'string' && words.includes(value),
];
const whole = (from: number, to: number): Rule => [
  `a whole number from ${from} to ${to}`,
  (value) => Number.isInteger(value) && Number(value) >= from && Number(value) <= to,
];
const yesOrNo: Rule = ['true, false', (value) => typeof value === 'boolean'];
const hostName = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/;
const groupName = /^[A-Za-z_][A-Za-z0-9_]*$/;

const hostRules: Readonly<Record<keyof HostShape, Rule>> = {
  name: [
    'a host name: up to 32 lower-case letters, digits and hyphens',
    (value) => typeof value === 'string' && hostName.test(value),
  ],
  arch: oneOf('amd64', 'arm64'),
  groups: [
    'a list of group names',
    (value) => Array.isArray(value) && value.every((group) => typeof group === 'string' && groupName.test(group)),
  ],
  user: oneOf('admin', 'root'),
  sudo: oneOf('password', 'nopasswd', 'refused'),
  sudo_password: ['text of one line', (value) => typeof value === 'string' && /^[\x20-\x7e]+$/.test(value)],
  ssh_port: whole(1, 65_535),
  ufw: yesOrNo,
  disk_gb: whole(1, 1024),
};

/** The most hosts that a lab's subnet has addresses for. */
const mostHosts = 80;

/** Reads a shape from a YAML file. Throws a UserError with every problem and its place. */
export function readShape(file: string): LabShape {
  if (!existsSync(file)) {
    throw new UserError({ what: `there is no shape file ${file}`, hint: 'lab/shapes/ has some to start from' });
  }
  return parseShape(readFileSync(file, 'utf8'), file);
}

/** Reads a shape from YAML text; `file` is what problems name as their place. */
export function parseShape(text: string, file: string): LabShape {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const problems: Problem[] = [];
  const problem = (offset: number, what: string, more: { expected?: string; hint?: string } = {}) => {
    const { line, col } = lines.linePos(offset);
    problems.push({ what, at: { file, line, column: col }, ...more });
  };
  for (const error of document.errors) problem(error.pos[0], error.message.split(' at line ')[0] ?? error.message);
  if (problems.length > 0) throw new UserError(problems);

  /** The entries of a mapping; whatever is unknown or wrong becomes a problem. */
  const entries = (node: unknown, what: string, rules: Readonly<Record<string, Rule>>): Record<string, unknown> => {
    if (!isMap(node)) {
      problem(offsetOf(node), `${what} is no mapping`, { expected: Object.keys(rules).join(', ') });
      return {};
    }
    const found: Record<string, unknown> = {};
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : '';
      const rule = rules[name];
      const near = didYouMean(name, Object.keys(rules));
      if (!rule) {
        problem(offsetOf(key), `${what} has no "${name}"`, {
          expected: Object.keys(rules).join(', '),
          ...(near ? { hint: `did you mean "${near}"?` } : {}),
        });
        continue;
      }
      const plain = isNode(value) ? value.toJS(document) : value;
      if (!rule[1](plain))
        problem(offsetOf(value ?? key), `${name} can't be ${JSON.stringify(plain)}`, { expected: rule[0] });
      found[name] = plain;
    }
    return found;
  };

  const list: Rule = [
    'a list of hosts',
    (value) => Array.isArray(value) && value.length > 0 && value.length <= mostHosts,
  ];
  const shape = entries(document.contents, 'a shape', { hosts: list, k3s: yesOrNo });
  const hosts = document.get('hosts');
  if (isMap(document.contents) && hosts === undefined)
    problem(0, 'a shape needs hosts', { expected: `1 to ${mostHosts} hosts` });
  const names = new Set<string>();
  for (const item of isSeq(hosts) ? hosts.items : []) {
    const { name } = entries(item, 'a host', hostRules);
    if (isMap(item) && name === undefined) problem(offsetOf(item), 'a host needs a name');
    if (typeof name === 'string' && names.has(name)) problem(offsetOf(item), `there are two hosts called "${name}"`);
    if (typeof name === 'string') names.add(name);
  }
  problems.sort((a, b) => (a.at?.line ?? 0) - (b.at?.line ?? 0) || (a.at?.column ?? 0) - (b.at?.column ?? 0));
  if (problems.length > 0) throw new UserError(problems);
  // Every field was checked against its rule above.
  const checked = shape['hosts'] as (Partial<HostShape> & { name: string })[];
  return completeShape({ hosts: checked.map((host) => ({ ...hostDefaults, ...host })), k3s: shape['k3s'] === true });
}

function isNode(value: unknown): value is Node {
  return isMap(value) || isSeq(value) || isScalar(value);
}

function offsetOf(node: unknown): number {
  return isNode(node) ? (node.range?.[0] ?? 0) : 0;
}
