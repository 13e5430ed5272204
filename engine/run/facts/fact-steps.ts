/**
 * Facts as steps: which steps to send to which host, and what their results mean. Facts with the same script are one
 * step, whoever asks. Pure.
 */
import { type Fact, type FactRequests, SameFacts, textOf } from '../../fact.ts';
import type { Step, StepResult } from '../../remote/session.ts';
import { PROBE_TIMEOUT } from '../../resource.ts';
import { lastLines } from '../tasks/failures.ts';

/** Why a fact could not be gathered. */
export interface NoAnswer {
  /** The host that was asked. */
  readonly host: string;
  readonly fact: string;
  readonly why: string;
}

/** The answers for one requester, or what is missing. */
export type Answers =
  | { readonly ok: true; readonly facts: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly missing: NoAnswer };

type Answer = { readonly value: unknown } | NoAnswer;

/** The facts that any number of requesters ask for, as steps by host. */
export class FactSteps {
  readonly #steps = new Map<string, Map<string, Step>>();
  /** The parsed answers, by fact and host: parsed once for all requesters. */
  readonly #known = new Map<Fact<unknown>, Map<string, Answer>>();
  readonly #same = new SameFacts();

  /** Adds what a requester on a host asks for. */
  add(host: string, requests: FactRequests): void {
    for (const request of Object.values(requests)) {
      if ('fact' in request) for (const other of request.of) this.#ask(other.name, request.fact);
      else this.#ask(host, request);
    }
  }

  #ask(host: string, fact: Fact<unknown>): void {
    const steps = this.#steps.get(host) ?? new Map<string, Step>();
    this.#steps.set(host, steps);
    const key = textOf(fact.script);
    if (!steps.has(key)) {
      steps.set(key, { id: `f${steps.size}`, title: fact.name, script: fact.script, timeout: PROBE_TIMEOUT });
    }
  }

  /** The hosts that are asked, each with its steps: one round trip. */
  get byHost(): ReadonlyMap<string, readonly Step[]> {
    return new Map([...this.#steps].map(([host, steps]) => [host, [...steps.values()]]));
  }

  /**
   * The answers for a requester on `own`.
   * @param results The results of each host that was reached.
   * @param unreachable Why others were not.
   */
  answers(
    own: string,
    requests: FactRequests,
    results: ReadonlyMap<string, readonly StepResult[]>,
    unreachable: ReadonlyMap<string, string>,
  ): Answers {
    const facts: Record<string, unknown> = {};
    for (const [name, request] of Object.entries(requests)) {
      if (!('fact' in request)) {
        const answer = this.#answer(own, request, results, unreachable);
        if ('why' in answer) return { ok: false, missing: answer };
        facts[name] = answer.value;
        continue;
      }
      const values = new Map<string, unknown>();
      for (const host of request.of) {
        const answer = this.#answer(host.name, request.fact, results, unreachable);
        if ('value' in answer) values.set(host.name, answer.value);
        else if (request.unreachable === 'fail' || results.has(host.name)) return { ok: false, missing: answer };
      }
      facts[name] = values;
    }
    return { ok: true, facts };
  }

  #answer(
    host: string,
    fact: Fact<unknown>,
    results: ReadonlyMap<string, readonly StepResult[]>,
    unreachable: ReadonlyMap<string, string>,
  ): Answer {
    const shared = this.#same.of(fact);
    const known = this.#known.get(shared) ?? new Map<string, Answer>();
    this.#known.set(shared, known);
    const answer = known.get(host) ?? this.#read(host, fact, results, unreachable);
    known.set(host, answer);
    return answer;
  }

  #read(
    host: string,
    fact: Fact<unknown>,
    results: ReadonlyMap<string, readonly StepResult[]>,
    unreachable: ReadonlyMap<string, string>,
  ): Answer {
    const no = (why: string): NoAnswer => ({ host, fact: fact.name, why });
    const step = this.#steps.get(host)?.get(textOf(fact.script));
    const result = results.get(host)?.find((candidate) => candidate.id === step?.id);
    if (!result) return no(unreachable.get(host) ?? 'the host did not answer');
    if (result.outcome === 'timed out') return no(`no answer within ${PROBE_TIMEOUT} s`);
    if (result.outcome !== 'ran') return no('the run was stopped');
    const stderr = result.stderr.toString();
    try {
      const { exitCode, arrived: at } = result;
      return { value: fact.parse({ stdout: result.stdout.toString(), stderr, exitCode, at }) };
    } catch (error) {
      const last = lastLines(result.stderr);
      const said = last ? `; stderr: ${last}` : '';
      return no(`${error instanceof Error ? error.message : String(error)} (exit code ${result.exitCode}${said})`);
    }
  }
}
