/** What a stage sends for one host: to the host itself, and to hosts that its tasks are delegated to. */
import type { Problem } from '../errors.ts';
import type { InventoryHost } from '../inventory/inventory.ts';
import type { Step, StepListener, StepResult } from '../remote/session.ts';
import type { PeerSource, Upload } from '../resource.ts';
import { becomesRoot } from './plan/select-plays.ts';
import type { HostRoster } from './report/host-roster.ts';
import type { PeerHost } from './sessions/peer-sources.ts';
import type { Sender } from './sessions/sender.ts';
import type { SendContext, SessionPool } from './sessions/session-pool.ts';
import type { StagePlace } from './tasks/task-instances.ts';

/** What {@link StageSender} needs of a run. */
export interface StageSenderContext {
  readonly sender: Sender;
  readonly pool: SessionPool;
  readonly roster: HostRoster;
}

/** Sends for one host. A target that can't be reached takes the host out of the run with it. */
export class StageSender {
  readonly #run: StageSenderContext;
  readonly #place: StagePlace;
  readonly #host: InventoryHost;

  constructor(run: StageSenderContext, place: StagePlace, host: InventoryHost) {
    this.#run = run;
    this.#place = place;
    this.#host = host;
  }

  /** Sends steps: one round trip. @returns undefined when the target is unreachable. */
  async send(
    target: string,
    phase: 'check' | 'diff' | 'change',
    steps: readonly Step[],
    listener?: StepListener,
  ): Promise<readonly StepResult[] | undefined> {
    const results = await this.#run.sender.send(this.#hostNamed(target), steps, this.#context(phase), listener);
    if (!results) this.#unreachable(target);
    return results;
  }

  /** Uploads contents, a few at once. @returns undefined when the target is unreachable. */
  async upload(target: string, uploads: readonly Upload[]): Promise<readonly StepResult[] | undefined> {
    const results = await this.#run.sender.upload(this.#hostNamed(target), uploads, this.#context('change'));
    if (!results) this.#unreachable(target);
    return results;
  }

  /** Runs steps over a new connection. @returns the results, or why there is no such connection. */
  onNewConnection(target: string, steps: readonly Step[]): Promise<readonly StepResult[] | Problem> {
    return this.#run.pool.onNewConnection(this.#hostNamed(target), steps, this.#context('confirm'));
  }

  /** A target as a host that others may get a content from. */
  peerHost(target: string, { read }: PeerSource): PeerHost {
    return { host: target, become: becomesRoot(this.#place.play), read };
  }

  /** The upload of what a peer has. @param write Takes it on the target. */
  peerUpload({ host, become, read }: PeerHost, write: PeerSource['write']): Upload {
    const context = { ...this.#context('peer-upload'), become };
    return { script: write, content: () => this.#run.pool.read(this.#hostNamed(host), read, context) };
  }

  /** Reports that the host waited for another since a time by performance.now(). */
  reportWait(since: number): void {
    this.#run.sender.reportWait(this.#host.name, since, this.#context('wait'));
  }

  #context(phase: SendContext['phase']): SendContext {
    const { play, call, stage } = this.#place;
    return { phase, become: becomesRoot(play), role: call.role.name, stage: stage.name };
  }

  #hostNamed(name: string): InventoryHost {
    const host = this.#run.roster.named(name);
    if (!host)
      throw new Error(`role ${this.#place.call.role.name} delegates to ${name}, which is not in the inventory`);
    return host;
  }

  /** A host that a task is delegated to does not answer: the task's own host is out too. */
  #unreachable(target: string): void {
    if (target === this.#host.name) return;
    const why = this.#run.sender.whyUnreachable(target);
    this.#run.roster.fail(this.#host, {
      what: `a task is delegated to ${target}, which is unreachable${why ? `: ${why.what}` : ''}`,
    });
  }
}
