/**
 * Errors in roles that no fact excuses, collected while the run prefetches and reported together before anything is
 * changed: an unknown option always; an invalid value where the role read nothing that may differ when its time comes.
 */
import { formatProblem, InvalidValue, type Problem, UserError } from '../errors.ts';
import type { Play } from '../play.ts';
import type { AskContext } from '../role.ts';
import { roleProblems } from '../role-problems.ts';
import { UnknownOption } from '../validate-options.ts';
import type { PlayRun } from './plan/select-plays.ts';
import type { StagePlace } from './tasks/task-instances.ts';

/** Names of hosts that one message lists. */
const HOSTS_LISTED = 5;

/** The errors of a run. */
export class RoleErrors {
  readonly #plays: readonly PlayRun[];
  readonly #found = new Map<string, { problem: Problem; play: Play; hosts: Set<string> }>();

  constructor(plays: readonly PlayRun[]) {
    this.#plays = plays;
  }

  /** Adds what a role threw, where it would throw it again. @param use What the role read before. */
  add(place: StagePlace, host: string, error: unknown, use: FactUse<AskContext<unknown>>): void {
    const isCertain = error instanceof UnknownOption || (error instanceof InvalidValue && !use.isUsed);
    if (!isCertain) return;
    for (const problem of roleProblems(error, place.call.role.name)) {
      const key = formatProblem(problem);
      const found = this.#found.get(key) ?? { problem, play: place.play, hosts: new Set() };
      this.#found.set(key, found);
      found.hosts.add(host);
    }
  }

  /** @throws UserError of all errors. One that concerns some hosts of its play names them. */
  throwIfAny(): void {
    if (this.#found.size === 0) return;
    throw new UserError(
      [...this.#found.values()].map(({ problem, play, hosts }) => {
        const all = this.#plays.find((playRun) => playRun.play === play)?.hosts.length;
        return hosts.size === all ? problem : { ...problem, host: listOf([...hosts]) };
      }),
    );
  }
}

function listOf(hosts: readonly string[]): string {
  const more = hosts.length - HOSTS_LISTED;
  return more > 0 ? `${hosts.slice(0, HOSTS_LISTED).join(', ')} and ${more} more` : hosts.join(', ');
}

/** A role's context that records whether the role read what may still change: facts, and who is still in the play. */
export class FactUse<Context extends AskContext<unknown>> {
  readonly context: Context;
  isUsed = false;

  constructor(context: Context) {
    const facts = 'facts' in context ? this.#recorded(context.facts as object) : undefined;
    this.context = new Proxy(context, {
      get: (target, name) => {
        if (name === 'facts') return facts;
        if (name === 'playHosts') this.isUsed = true;
        return Reflect.get(target, name);
      },
    });
  }

  #recorded(facts: object): object {
    const used = <T>(answer: T): T => {
      this.isUsed = true;
      return answer;
    };
    return new Proxy(facts, {
      get: (...args) => used(Reflect.get(...args)),
      has: (...args) => used(Reflect.has(...args)),
      ownKeys: (...args) => used(Reflect.ownKeys(...args)),
    });
  }
}
