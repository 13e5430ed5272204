/**
 * Facts: what a role wants to know of a host before it decides. A fact is a script and a pure parser of what it printed; all
 * facts of a stage travel to a host in one script.
 */
import type { HostView } from './host-view.ts';
import type { Script } from './script.ts';

/** What a fact's script left behind. */
export interface FactOutput {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
  /**
   * The controller's clock when the script had ended, in seconds since 1970; late by what the network takes. With it a fact
   * can tell how far a host's clock is off. Undefined where nothing was sent (tests).
   */
  readonly at?: number | undefined;
}

/** Something a host can be asked. Two facts with the same script are asked once. */
export interface Fact<T> {
  /** Its name, for messages: `node ip`. */
  readonly name: string;
  /** Reads only. */
  readonly script: Script;
  /** Pure. Throws an Error when the output makes no sense; the engine names host and fact. */
  parse(output: FactOutput): T;
  /**
   * The answer of a fresh, healthy host. `--list-tasks` and `--list-tags` compute tasks from it without connecting, and
   * role tests start from it.
   */
  readonly example: T;
}

/** Declares a fact. */
export function fact<T>(declaration: Fact<T>): Fact<T> {
  return declaration;
}

/** A fact asked of named hosts rather than of the host at hand. Read-only, also where `--limit` leaves the host out. */
export interface FactOfOthers<T> {
  readonly of: readonly HostView[];
  readonly fact: Fact<T>;
  /** `fail`: a host that can't be asked fails the stage, naming it. `omit`: it is missing from the answer. */
  readonly unreachable: 'fail' | 'omit';
}

/** Asks `fact` of each of `hosts`; the answer is a map from host name to value. */
export function fromEach<T>(
  hosts: readonly HostView[],
  fact: Fact<T>,
  unreachable: 'fail' | 'omit' = 'fail',
): FactOfOthers<T> {
  return { of: hosts, fact, unreachable };
}

/** The facts a stage asks for, by name. */
export type FactRequests = Readonly<Record<string, Fact<unknown> | FactOfOthers<unknown>>>;

/** The answers, typed by the requests. */
export type FactAnswers<R extends FactRequests> = {
  readonly [K in keyof R]: R[K] extends FactOfOthers<infer T>
    ? ReadonlyMap<string, T>
    : R[K] extends Fact<infer T>
      ? T
      : never;
};
