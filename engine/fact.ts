/**
 * Facts: what a role wants to know of a host before it decides. A fact is a script and a pure parser of what it
 * printed; all facts of a stage travel to a host in one script.
 */
import type { HostView } from './host-view.ts';
import type { Script } from './script.ts';

/** What a fact's script left behind. */
export interface FactOutput {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
  /**
   * The controller's clock when the script had ended, in seconds since 1970; late by what the network takes. With it a
   * fact can tell how far a host's clock is off. Undefined where nothing was sent (tests).
   */
  readonly at?: number | undefined;
}

/**
 * Something a host can be asked. Facts with the same script are asked once. Facts with the same script and the same
 * name are one fact ({@link SameFacts}): a role may declare one anew for every host that asks, and its answer is parsed
 * once.
 */
export interface Fact<T> {
  /** Its name, for messages: `node ip`. Facts whose `parse` differs have different names. */
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

/**
 * Finds facts that are the same. With 60 nodes that all ask each other, 3,600 answers would be parsed instead of 60:
 * 0.8 s instead of 15 ms.
 */
export class SameFacts {
  readonly #known = new Map<Fact<unknown>, Fact<unknown>>();
  readonly #byText = new Map<string, Map<string, Fact<unknown>>>();

  /** The first fact that was seen with this name and script. */
  of(fact: Fact<unknown>): Fact<unknown> {
    const known = this.#known.get(fact);
    if (known) return known;
    const named = this.#byText.get(fact.name) ?? new Map<string, Fact<unknown>>();
    this.#byText.set(fact.name, named);
    const text = textOf(fact.script);
    const first = named.get(text) ?? fact;
    named.set(text, first);
    this.#known.set(fact, first);
    return first;
  }
}

const texts = new WeakMap<Script, string>();

/** A script's text, put together once however many hosts are sent it. */
export function textOf(script: Script): string {
  const text = texts.get(script) ?? script.reveal();
  texts.set(script, text);
  return text;
}
