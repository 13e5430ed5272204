/** What a stage sends for one host: to it, and to the hosts that its tasks are delegated to. */
import type { InventoryHost } from '../inventory/inventory.ts';
import type { Step, StepListener, StepResult } from '../remote/session.ts';
import type { PeerSource, Upload } from '../resource.ts';
import type { PhaseContext, RunContext } from './context.ts';
import type { PeerHost } from './sessions/peer-sources.ts';
import type { StagePlace } from './tasks/task-instances.ts';

/** Sends for one host. A target that can't be reached is told of, and takes the host out of the run with it. */
export class StageSender {
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
    listener?: StepListener,
  ): Promise<readonly StepResult[] | undefined> {
    const results = await this.#run.send(this.#hostNamed(target), steps, this.context(phase), listener);
    if (!results) this.#outOfReach(target);
    return results;
  }

  /** Contents, each on the stdin of its script, a few at once. @returns undefined when the target is out of reach. */
  async upload(target: string, uploads: readonly Upload[]): Promise<readonly StepResult[] | undefined> {
    const results = await this.#run.upload(this.#hostNamed(target), uploads, this.context('change'));
    if (!results) this.#outOfReach(target);
    return results;
  }

  /** Steps over a new connection. @returns the answers, or why there is no such connection. */
  onNewConnection(target: string, steps: readonly Step[]): ReturnType<RunContext['pool']['onNewConnection']> {
    return this.#run.pool.onNewConnection(this.#hostNamed(target), steps, this.context('confirm'));
  }

  /** How a target gives what is fetched once for all. */
  sourceOn(target: string, { read }: PeerSource): PeerHost {
    return { host: target, become: this.#run.becomes(this.#place.play), read };
  }

  /** What a giver has, to be sent to another. */
  peerUpload({ host, become, read }: PeerHost, take: PeerSource['write']): Upload {
    const to = { ...this.context('peer-upload'), become };
    return { script: take, content: () => this.#run.pool.read(this.#hostNamed(host), read, to) };
  }

  /** What is sent in a phase is for this. */
  context(phase: PhaseContext['phase']): PhaseContext {
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
