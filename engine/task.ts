/**
 * A task: a resource with a name, and what the scheduler must know of it. Tasks are plain data, made by a role's pure
 * `tasks` function, so that they can be listed, planned and tested without a host.
 */

import { InvalidValue, type Position, placesIn } from './errors.ts';
import type { HostView } from './host-view.ts';
import type { Resource } from './resource.ts';
import {
  BOOLEAN,
  missingKeys,
  type Names,
  STRING_LIST,
  UnknownOption,
  unknownKeys,
  type ValueType,
  wrongTypes,
} from './validate-options.ts';

/** How a task is scheduled and selected. Names are Ansible's. */
export interface TaskOptions {
  /** Selected by `--tags`, besides the tags of its play and role. `always` and `never` mean what they mean in Ansible. */
  readonly tags?: readonly string[];
  /** False: the task is shown as skipped. Decided by the role from vars and facts. */
  readonly when?: boolean;
  /** Handlers of the same stage to run, once, after its tasks, when this task changed something. */
  readonly notify?: string | readonly string[];
  /** What the change puts at risk. No two hosts of the inventory disrupt the same thing at once. */
  readonly disrupts?: Disruption;
  /** Only on the first host of the batch. */
  readonly runOnce?: boolean;
  /** Look and change on this host instead; the task still counts for its own host. */
  readonly delegateTo?: HostView;
  /** A failure is shown and the host goes on. */
  readonly ignoreErrors?: boolean;
}

/**
 * Something that survives the loss of one host but not of two: an etcd quorum, a replicated volume. Before the change
 * `before` must come to hold, after it `after`; where `after` does not, no further host is disrupted in this run.
 */
export interface Disruption {
  /** Its name, one mutex per name: `etcd`. */
  readonly lock: string;
  /** Evidence that it can bear the loss of this host: usually a `wait` resource. */
  readonly before?: Resource;
  /** Evidence that it has recovered. */
  readonly after?: Resource;
}

/** The outcome of a check that was made from facts: evidence, and where it is not good enough, what to do. */
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

const OPTIONS: Names<TaskOptions> = {
  tags: true,
  when: true,
  notify: true,
  disrupts: true,
  runOnce: true,
  delegateTo: true,
  ignoreErrors: true,
};

const KINDS: { readonly [Name in keyof TaskOptions]?: ValueType } = {
  tags: STRING_LIST,
  when: BOOLEAN,
  runOnce: BOOLEAN,
  ignoreErrors: BOOLEAN,
  notify: {
    expected: 'the name of a handler, or a list of names',
    fits: (value) => typeof value === 'string' || STRING_LIST.fits(value),
  },
};

const PARTS: Readonly<Record<'name' | 'action', ValueType>> = {
  name: { expected: 'text that says what it does', fits: (value) => typeof value === 'string' && value !== '' },
  action: {
    expected: 'a resource: file({ path: "/etc/motd", content: "hello" })',
    fits: (value) => typeof value === 'object' && value !== null && 'kind' in value,
  },
};

const DISRUPTION: Names<Disruption> = { lock: 'needed', before: true, after: true };

/**
 * A task: what to call it, the resource, how to schedule it.
 * @throws MisspeltOption on an option that is none; WrongValue on one of the wrong kind, and on a disruption of nothing.
 */
export function task(name: string, action: Resource | Verdict, options: TaskOptions = {}): Task {
  const caller = callerOf(task);
  const problems = [
    ...unknownKeys('option', `task "${name}"`, Object.keys(options), OPTIONS, caller),
    ...unknownKeys('option', `disrupts of task "${name}"`, Object.keys(options.disrupts ?? {}), DISRUPTION, caller),
  ];
  if (problems.length > 0) throw new UnknownOption(problems);
  const wrong = [
    ...wrongTypes('a task', { name: name ?? null, action: action ?? null }, PARTS, caller),
    ...wrongTypes(`task "${name}"`, options, KINDS, caller),
    ...(options.disrupts
      ? missingKeys('option', `disrupts of task "${name}"`, options.disrupts, DISRUPTION, caller)
      : []),
  ];
  if (wrong.length > 0) throw new InvalidValue(wrong);
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
 * Where `fn` was called from: the first stack frame above it. Gives a function that tells, since most places are never asked
 * for: the first one that is has a source map read.
 */
export function callerOf(fn: (...args: never[]) => unknown): () => Position | undefined {
  const holder: { stack?: string } = {};
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 1;
  Error.captureStackTrace(holder, fn);
  Error.stackTraceLimit = limit;
  return () => placesIn(holder.stack ?? '')[0];
}
