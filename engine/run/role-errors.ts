/**
 * What roles get wrong whatever is found on hosts: noted while a run rehearses, and told at once, before anything is changed. A
 * misspelt option is; so is a wrong value, where the role looked at nothing that may be another when its time comes.
 */

import { formatProblem, InvalidValue, type Problem, UserError } from '../errors.ts';
import type { Play } from '../play.ts';
import type { AskContext } from '../role.ts';
import { roleProblems } from '../role-problems.ts';
import { UnknownOption } from '../validate-options.ts';
import type { PlayRun } from './plan/select-plays.ts';
import type { StagePlace } from './tasks/task-instances.ts';

/** Names of hosts that stand in one message. */
const NAMED = 5;

/** The mistakes of a run. */
export class RoleErrors {
  readonly #plays: readonly PlayRun[];
  readonly #found = new Map<string, { problem: Problem; play: Play; hosts: Set<string> }>();

  constructor(plays: readonly PlayRun[]) {
    this.#plays = plays;
  }

  /** Notes what a role threw when it was given `watched`, where it is certain. */
  add(place: StagePlace, host: string, error: unknown, watched: FactUse<AskContext<unknown>>): void {
    const isCertain = error instanceof UnknownOption || (error instanceof InvalidValue && !watched.isUsed);
    if (!isCertain) return;
    for (const problem of roleProblems(error, place.call.role.name)) {
      const key = formatProblem(problem);
      const found = this.#found.get(key) ?? { problem, play: place.play, hosts: new Set() };
      this.#found.set(key, found);
      found.hosts.add(host);
    }
  }

  /** Tells them: of some of a play's hosts, with their names. @throws UserError of all, where there are any. */
  throwIfAny(): void {
    if (this.#found.size === 0) return;
    throw new UserError(
      [...this.#found.values()].map(({ problem, play, hosts }) => {
        const all = this.#plays.find((playRun) => playRun.play === play)?.hosts.length;
        return hosts.size === all ? problem : { ...problem, host: namesOf([...hosts]) };
      }),
    );
  }
}

function namesOf(hosts: readonly string[]): string {
  const more = hosts.length - NAMED;
  return more > 0 ? `${hosts.slice(0, NAMED).join(', ')} and ${more} more` : hosts.join(', ');
}

/** A context that knows whether what may still change was looked at: facts, and who is still in the run. */
export class FactUse<Context extends AskContext<unknown>> {
  readonly context: Context;
  isUsed = false;

  constructor(context: Context) {
    const facts = 'facts' in context ? this.#watched(context.facts as object) : undefined;
    this.context = new Proxy(context, {
      get: (target, name) => {
        if (name === 'facts') return facts;
        if (name === 'playHosts') this.isUsed = true;
        return Reflect.get(target, name);
      },
    });
  }

  #watched(facts: object): object {
    const noted = <T>(answer: T): T => {
      this.isUsed = true;
      return answer;
    };
    return new Proxy(facts, {
      get: (...words) => noted(Reflect.get(...words)),
      has: (...words) => noted(Reflect.has(...words)),
      ownKeys: (...words) => noted(Reflect.ownKeys(...words)),
    });
  }
}
