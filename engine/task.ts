/**
 * A task: a resource with a name, and what the scheduler must know about it. Tasks are plain data, made by a role's
 * `tasks` function, so that they can be listed and tested without a host.
 */

import { InvalidValue, kindOf, type Position, type Problem, placesIn } from './errors.ts';
import type { HostView } from './host-view.ts';
import type { Resource, ResourceBase } from './resource.ts';
import type { State } from './state.ts';
import {
  BOOLEAN,
  FUNCTION,
  invalidOptions,
  isMapping,
  type OptionsOf,
  oneOf,
  optionsType,
  required,
  SCRIPT,
  SECONDS,
  STRING_LIST,
  TEXT,
  UnknownOption,
  unknownOptions,
  type ValueType,
  valueType,
} from './validate-options.ts';

const RESOURCE: ValueType<Resource> = valueType(
  'a resource: file({ path: "/etc/motd", content: "hello" })',
  (value) => isMapping(value) && 'kind' in value,
);

const STATE: ValueType<State> = {
  ...valueType<State>(
    'text by key: { mode: "0644" }',
    (value) => isMapping(value) && Object.values(value).every(TEXT.fits),
  ),
  shown: (value) => {
    const wrong = isMapping(value) ? Object.entries(value).find(([, each]) => !TEXT.fits(each)) : undefined;
    return wrong ? `{ ${wrong[0]}: ${typeof wrong[1] === 'number' ? wrong[1] : kindOf(wrong[1])} }` : kindOf(value);
  },
};

/** What the engine reads of a resource. Resources are not type-checked when they run, and many are written by hand. */
const RESOURCE_PARTS = {
  kind: required(TEXT),
  id: required(TEXT),
  probe: required(SCRIPT),
  sharedProbe: optionsType({ fn: required(valueType('a shell function', isMapping)), args: required(STRING_LIST) }),
  wanted: required(STATE),
  change: required(FUNCTION),
  verify: oneOf('probe', 'exit code'),
  timeout: SECONDS,
  detail: optionsType({ script: required(SCRIPT), render: required(FUNCTION) }),
  readOnly: BOOLEAN,
  confirm: optionsType({ within: required(SECONDS), script: required(SCRIPT) }),
  mergeable: FUNCTION,
  upload: FUNCTION,
  uploadSize: valueType('a number of bytes', (value) => typeof value === 'number' && value >= 0),
  peerSource: optionsType({ key: required(TEXT), read: required(SCRIPT), write: required(SCRIPT) }),
  explain: FUNCTION,
} satisfies Record<keyof ResourceBase, ValueType>;

/** A problem for each part of a resource that is missing or of a wrong type. */
function resourceProblems(
  resource: Resource | Verdict | undefined,
  name: string,
  at: () => Position | undefined,
): readonly Problem[] {
  if (!RESOURCE.fits(resource) || (resource.kind as string) === 'verdict') return [];
  const where = `${resource.kind} ${resource.id} of task "${name}"`;
  return invalidOptions(resource, RESOURCE_PARTS, { noun: 'part', where, at });
}

const DISRUPTION = {
  /** Its name: `etcd`. One host at a time may disrupt what has this name. */
  lock: required(TEXT),
  /** Evidence that it can bear the loss of this host: usually a `wait` resource. */
  before: RESOURCE,
  /** Evidence that it has recovered. */
  after: RESOURCE,
};

/**
 * Something that survives the loss of one host but not of two: an etcd quorum, a replicated volume. `before` must come
 * to hold before the change, and `after` afterwards. Where `after` does not, this run disrupts no further host.
 */
export type Disruption = OptionsOf<typeof DISRUPTION>;

const OPTIONS = {
  /**
   * Selected by `--tags`, besides the tags of its play and role. `always` and `never` mean what they mean in Ansible.
   */
  tags: STRING_LIST,
  /** False: the task is shown as skipped. The role decides it from vars and facts. */
  when: BOOLEAN,
  /** Handlers of the same stage to run, once, after its tasks, when this task changed something. */
  notify: valueType<string | readonly string[]>(
    'the name of a handler, or a list of names',
    (value) => TEXT.fits(value) || STRING_LIST.fits(value),
  ),
  /** What the change puts at risk. No two hosts of the inventory disrupt the same thing at once. */
  disrupts: optionsType(DISRUPTION),
  /** Only on the first host of the batch. */
  runOnce: BOOLEAN,
  /** Probe and change on this host instead. The task still counts for its own host. */
  delegateTo: valueType<HostView>('a host: group("server")[0]', (value) => isMapping(value) && 'name' in value),
  /** A failure is shown and the host goes on. */
  ignoreErrors: BOOLEAN,
};

/** How a task is scheduled and selected. The names are Ansible's. */
export type TaskOptions = OptionsOf<typeof OPTIONS>;

/** The outcome of a check of facts: the evidence and, where it is not good enough, what to do. */
export interface Verdict {
  readonly kind: 'verdict';
  /** The name it is waived by: `clock`. */
  readonly id: string;
  readonly verdict: 'pass' | 'warn' | 'refuse';
  /** What was seen: `3.2 GB of memory`. */
  readonly evidence: string;
  /** For warn and refuse: what is wrong, in one sentence. */
  readonly what?: string;
  readonly expected?: string;
  readonly hint?: string;
  /** Of a refusal: nothing waives it. */
  readonly final?: boolean;
}

/** One task. Made by {@link task}. */
export interface Task {
  readonly name: string;
  readonly action: Resource | Verdict;
  readonly options: TaskOptions;
  /** The line of the role that made it. */
  readonly at: Position | undefined;
}

const PARTS = {
  name: valueType<string>('text that says what it does', (value) => typeof value === 'string' && value !== ''),
  action: RESOURCE,
};

/**
 * A task: its name, its resource, and how it is scheduled.
 * @throws UnknownOption on an unknown option; InvalidValue on a wrong value, a disruption without a lock, or a resource
 * that is none.
 */
export function task(name: string, action: Resource | Verdict, options: TaskOptions = {}): Task {
  const caller = callerOf(task);
  const place = { noun: 'option', where: `task "${name}"`, at: caller };
  const unknown = unknownOptions(options, OPTIONS, place);
  if (unknown.length > 0) throw new UnknownOption(unknown);
  const parts = { noun: 'part', where: 'a task', at: caller };
  const invalid = [
    ...invalidOptions({ name: name ?? null, action: action ?? null }, PARTS, parts),
    ...invalidOptions(options, OPTIONS, place),
    ...[action, options.disrupts?.before, options.disrupts?.after].flatMap((each) =>
      resourceProblems(each, name, caller),
    ),
  ];
  if (invalid.length > 0) throw new InvalidValue(invalid);
  return {
    name,
    action,
    options,
    get at() {
      return caller();
    },
  };
}

/**
 * Where `fn` was called from: the first stack frame above it. Returns a function, because most positions are never
 * asked for and the first one that is reads a source map.
 */
export function callerOf(fn: (...args: never[]) => unknown): () => Position | undefined {
  const holder: { stack?: string } = {};
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 1;
  Error.captureStackTrace(holder, fn);
  Error.stackTraceLimit = limit;
  return () => placesIn(holder.stack ?? '')[0];
}
