/**
 * Which fields of events are masked. Free text is: output, diffs, scripts, messages, the command line. Names are not,
 * nor the keys of states: a host `raspberry-1` keeps its name where a password is `raspberry`. A new event or field
 * does not compile without a row here.
 */
import type { Problem } from './errors.ts';
import type { HostRecap, RunEventBody, TaskRef } from './events.ts';
import { holdsSecret, maskData } from './secret.ts';

/**
 * What a field holds. `text`: masked. `name`: what somebody called a thing; not masked. `fixed`: a number, or a word
 * that the type names. An object has a rule for each of its fields; a list has the rule of its elements.
 */
type Rule<V> = V extends string
  ? string extends V
    ? 'text' | 'name'
    : 'fixed'
  : V extends number | boolean
    ? 'fixed'
    : V extends readonly (infer E)[]
      ? Rule<E>
      : string extends keyof V
        ? 'text' | 'name'
        : Rules<V>;

type Rules<T> = { readonly [K in keyof T]-?: Rule<NonNullable<T[K]>> };

/** {@link Rule} without its type: as {@link applied} reads it. */
type AnyRule = 'text' | 'name' | 'fixed' | { readonly [field: string]: AnyRule };

const PROBLEM: Rules<Problem> = {
  what: 'text',
  at: { file: 'name', line: 'fixed', column: 'fixed' },
  host: 'name',
  expected: 'text',
  hint: 'text',
};

const TASK: Rules<TaskRef> = {
  play: 'name',
  role: 'name',
  stage: 'name',
  name: 'name',
  index: 'fixed',
  handler: 'fixed',
  pending: 'fixed',
  resource: 'name',
  at: { file: 'name', line: 'fixed', column: 'fixed' },
};

const RECAP: Rules<HostRecap> = {
  host: 'name',
  ok: 'fixed',
  changed: 'fixed',
  unreachable: 'fixed',
  failed: 'fixed',
  skipped: 'fixed',
  ignored: 'fixed',
};

type EventRules = { readonly [T in RunEventBody['type']]: Rules<Omit<Extract<RunEventBody, { type: T }>, 'type'>> };

const EVENTS: EventRules = {
  'run-started': {
    run: 'name',
    playbook: 'name',
    argv: 'text',
    mode: 'fixed',
    diff: 'fixed',
    hosts: 'name',
    version: 'name',
    startUp: { start: 'fixed', inventory: 'fixed', compiled: 'fixed' },
  },
  'host-connected': { host: 'name', ms: 'fixed' },
  'host-unreachable': { host: 'name', problem: PROBLEM },
  'checks-started': { hosts: 'name' },
  verdict: { host: 'name', role: 'name', check: 'name', verdict: 'fixed', evidence: 'text', problem: PROBLEM },
  'play-started': { play: 'name', hosts: 'name' },
  'batch-started': { play: 'name', hosts: 'name' },
  'stage-started': { play: 'name', role: 'name', stage: 'name', hosts: 'name' },
  'phase-finished': {
    host: 'name',
    phase: 'fixed',
    role: 'name',
    stage: 'name',
    cost: { ms: 'fixed', roundTrips: 'fixed', bytesOut: 'fixed', bytesIn: 'fixed' },
  },
  'task-started': { host: 'name', task: TASK },
  'task-output': { host: 'name', task: TASK, stream: 'fixed', text: 'text' },
  'task-finished': {
    host: 'name',
    task: TASK,
    status: 'fixed',
    ms: 'fixed',
    found: 'text',
    wanted: 'text',
    diff: 'text',
    failure: { what: 'text', hint: 'text', script: 'text', exitCode: 'fixed', stderr: 'text', stdout: 'text' },
  },
  'health-check-failed': { lock: 'name', host: 'name' },
  script: { host: 'name', phase: 'fixed', role: 'name', stage: 'name', text: 'text' },
  'host-failed': { host: 'name', problem: PROBLEM },
  warning: { problem: PROBLEM },
  interrupted: { how: 'fixed' },
  'run-finished': { ms: 'fixed', recap: RECAP, exitCode: 'fixed', problems: PROBLEM },
};

/** Called with each name that holds a secret. */
type OnName = (name: string) => void;

/** An event with its free text masked. */
export function maskEvent<E extends RunEventBody>(event: E, onName: OnName = () => {}): E {
  return applied({ type: 'fixed', ...EVENTS[event.type] }, event, onName) as E;
}

/** A problem with its free text masked: its host and its file keep their names. */
export function maskProblem(problem: Problem): Problem {
  return applied(PROBLEM, problem, () => {}) as Problem;
}

/**
 * Masked value by value: a secret that is a number, or a word of the format, would otherwise break the JSON made of the
 * event.
 */
function applied(rule: AnyRule, value: unknown, onName: OnName): unknown {
  if (value === undefined || value === null || rule === 'fixed') return value;
  if (rule === 'text') {
    // The keys of a state are names, too.
    if (typeof value === 'object') for (const key of Object.keys(value)) if (holdsSecret(key)) onName(key);
    return maskData(value);
  }
  if (Array.isArray(value)) return value.map((each) => applied(rule, each, onName));
  if (rule === 'name') {
    for (const name of typeof value === 'object' ? Object.values(value) : [value])
      if (holdsSecret(String(name))) onName(String(name));
    return value;
  }
  // A field without a rule can only come from a role that leaves the types: it is masked.
  return Object.fromEntries(
    Object.entries(value).map(([field, of]) => [field, applied(rule[field] ?? 'text', of, onName)]),
  );
}
