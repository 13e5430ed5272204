/** What a stage sends for one host: to it, and to the hosts that its tasks are delegated to. */
import type { InventoryHost } from '../inventory/inventory.ts';
import type { BatchListener, Step, StepResult } from '../remote/session.ts';
import type { Seed, Upload } from '../resource.ts';
import type { Errand, RunContext } from './context.ts';
import type { Giver } from './seeds.ts';
import type { StagePlace } from './units.ts';

/** Sends for one host. A target that can't be reached is told of, and takes the host out of the run with it. */
export class Messenger {
  readonly #run: RunContext;
  readonly #place: StagePlace;
  readonly #host: InventoryHost;

  constructor(run: RunContext, place: StagePlace, host: InventoryHost) {
    this.#run = run;
    this.#place = place;
    this.#host = host;
  }

  /** A batch: one round trip. @returns undefined when the target is out of reach. */
  async send(
    target: string,
    phase: 'check' | 'diff' | 'change',
    steps: readonly Step[],
    listener?: BatchListener,
  ): Promise<readonly StepResult[] | undefined> {
    const results = await this.#run.send(this.#hostNamed(target), steps, this.errand(phase), listener);
    if (!results) this.#outOfReach(target);
    return results;
  }

  /** Contents, each on the stdin of its script, a few at once. @returns undefined when the target is out of reach. */
  async upload(target: string, uploads: readonly Upload[]): Promise<readonly StepResult[] | undefined> {
    const results = await this.#run.upload(this.#hostNamed(target), uploads, this.errand('change'));
    if (!results) this.#outOfReach(target);
    return results;
  }

  /** Steps over a new connection. @returns the answers, or why there is no such connection. */
  afresh(target: string, steps: readonly Step[]): ReturnType<RunContext['pool']['afresh']> {
    return this.#run.pool.afresh(this.#hostNamed(target), steps, this.errand('confirm'));
  }

  /** How a target gives what is fetched once for all. */
  giver(target: string, { give }: Seed): Giver {
    return { host: target, become: this.#run.becomes(this.#place.play), give };
  }

  /** What a giver has, to be sent to another. */
  gift({ host, become, give }: Giver, take: Seed['take']): Upload {
    const to = { ...this.errand('give'), become };
    return { script: take, content: () => this.#run.pool.read(this.#hostNamed(host), give, to) };
  }

  /** What is sent in a phase is for this. */
  errand(phase: Errand['phase']): Errand {
    const { play, call, stage } = this.#place;
    return { phase, become: this.#run.becomes(play), role: call.role.name, stage: stage.name };
  }

  #hostNamed(name: string): InventoryHost {
    const host = this.#run.hostNamed(name);
    if (!host)
      throw new Error(`role ${this.#place.call.role.name} delegates to ${name}, which is not in the inventory`);
    return host;
  }

  /** A host that a task was delegated to does not answer: the task's own host is out too. */
  #outOfReach(target: string): void {
    if (target === this.#host.name) return;
    const why = this.#run.pool.whyUnreachable(target);
    this.#run.fail(this.#host, {
      host: this.#host.name,
      what: `a task is delegated to ${target}, which can't be reached${why ? `: ${why.what}` : ''}`,
    });
  }
}
