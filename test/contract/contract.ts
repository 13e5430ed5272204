/**
 * The contract that every resource keeps, on a real host: check predicts apply; twice is once; cut at every boundary, it
 * converges; no secret shows; a failure is explained. A resource is brought under it by a table of {@link Example}s.
 */
import type { Session, Step, StepResult } from '../../engine/remote/session.ts';
import type { Resource } from '../../engine/resource.ts';
import { Script, sh } from '../../engine/script.ts';
import type { Secret } from '../../engine/secret.ts';
import { differences, parseState, type State } from '../../engine/state.ts';
import { withFunctions } from '../engine/resources/local-shell.ts';

/** Where examples make their files. Empty at the start of every try. */
export const WORK = '/srv/contract';

/** A resource to try. */
export interface Example {
  /** Ends the sentence "KIND: ...". */
  readonly name: string;
  readonly resource: Resource;
  /** Brings about what the example starts from. Runs before every try; {@link WORK} is empty then. */
  readonly prepare?: Script;
  /** True: it holds from the start, and nothing is to be done. */
  readonly holds?: boolean;
  /** Prints the thing itself: at every cut it must print what it printed before the change, or what it printed after. */
  readonly whole?: Script;
  /** Prints what else the resource is about. Compared when all is done; what it prints at a cut does not matter. */
  readonly state?: Script;
  /** Where a change is one long command: milliseconds after which it is killed too. */
  readonly killAfter?: readonly number[];
  /** Values that must show nowhere. */
  readonly secrets?: readonly Secret[];
  /** The change fails, is explained like this, and leaves things as they were. */
  readonly fails?: RegExp;
}

/** A clause of the contract, and whether an example keeps it. */
export interface Finding {
  readonly clause: string;
  /** Empty: kept. */
  readonly problems: readonly string[];
}

/** Tries an example on the host at the other end of `session`. {@link installHook} must have run there. */
export async function tryExample(session: Session, example: Example): Promise<readonly Finding[]> {
  return new Trial(session, example).run();
}

/** The state of a path, for {@link Example.whole}, in other words than the resources' own. */
export function contentOf(path: string): Script {
  return sh`stat -c '%F %a %U %G' ${path} 2>&1; [ ! -f ${path} ] || sha256sum ${path}; [ ! -L ${path} ] || readlink ${path}`;
}

const NOWHERE = 'nowhere';
const HOOK = '/run/hw-contract';

/**
 * Makes a directory of stand-ins for every command of the host. Each writes its arguments to a log and, when it is the one
 * at which the change is to be cut, kills the whole process group instead of doing its work.
 */
export async function installHook(session: Session): Promise<void> {
  const hook = `#!/bin/sh
name=\${HW_NAME:-\${0##*/}}
PATH=$HW_PATH; export PATH
[ -n "$HW_NAME" ] || printf '%s\\n' "$name $*" >> ${HOOK}/argv
echo >> ${HOOK}/count
[ "$(wc -l < ${HOOK}/count)" != "$HW_CUT" ] || kill -9 0
[ -n "$HW_NAME" ] || exec "$name" "$@"
`;
  const { exitCode, stderr } = await one(
    session,
    sh`
rm -rf ${HOOK} && mkdir -p ${HOOK}/bin && cd ${HOOK}/bin || exit
printf %s ${hook} > ../hook && chmod 755 ../hook
for file in /usr/local/sbin/* /usr/local/bin/* /usr/sbin/* /usr/bin/*; do
  case $file in */\[|*/setsid|*/kill) ;; *) [ ! -x "$file" ] || printf '%s\\0' "$\{file##*/}" ;; esac
done | sort -zu | xargs -0 -n 1 ln -s ../hook`,
  );
  if (exitCode !== 0) throw new Error(`the contract's hook: ${stderr}`);
}

/** A script that runs `change` in a process group of its own, its commands watched, cut at command number `cut`. */
function hooked(change: Script, cut: number): Script {
  const body = Script.raw(withFunctions(change));
  const builtin = (name: string): string => `${name}() { HW_NAME=${name} ${HOOK}/hook; command ${name} "$@"; }`;
  return sh`
rm -f ${HOOK}/count ${HOOK}/argv; : > ${HOOK}/count; : > ${HOOK}/argv
setsid -w sh -s <<'HW_CONTRACT_END'
HW_CUT=${cut} HW_PATH=$PATH PATH=${HOOK}/bin; export HW_CUT HW_PATH PATH
${Script.raw(['printf', 'echo'].map(builtin).join('\n'))}
${body}
HW_CONTRACT_END`;
}

/** A script that runs `change` and kills its process group after `ms`. */
function killedAfter(change: Script, ms: number): Script {
  return sh`
setsid sh -s <<'HW_CONTRACT_END' &
${Script.raw(withFunctions(change))}
HW_CONTRACT_END
hw_pid=$!
sleep ${ms / 1000}
kill -9 -- -$hw_pid 2>/dev/null
wait $hw_pid`;
}

const fresh = sh`cd / && rm -rf ${WORK} && mkdir -p ${WORK}`;

/** Everything below {@link WORK}, without times. */
const everything = sh`cd ${WORK} && find . ! -type d -printf '%P %y %m %u %g %s %l\n' -o -printf '%P %y %m %u %g\n' | sort; find . -type f -exec sha256sum {} + | sort`;

interface Text {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function one(session: Session, script: Script, timeout = 120): Promise<Text> {
  return all(session, [{ id: 'one', script, timeout }]).then(
    ([result]) => result ?? { exitCode: 255, stdout: '', stderr: 'no answer' },
  );
}

async function all(session: Session, steps: readonly Step[]): Promise<readonly Text[]> {
  const text = (result: StepResult): Text => ({
    exitCode: result.outcome === 'ran' ? result.exitCode : 255,
    stdout: result.stdout.toString(),
    stderr: result.stderr.toString() + (result.outcome === 'ran' ? '' : result.outcome),
  });
  return (await session.run(steps)).map(text);
}

/** One example being tried. */
class Trial {
  readonly #session: Session;
  readonly #example: Example;
  readonly #resource: Resource;
  /** Everything a person could come to see. */
  readonly #seen: string[] = [];

  constructor(session: Session, example: Example) {
    this.#session = session;
    this.#example = example;
    this.#resource = example.resource;
  }

  async run(): Promise<readonly Finding[]> {
    const { holds, fails } = this.#example;
    const findings = holds ? [await this.#holds()] : fails ? [await this.#fails(fails)] : await this.#changes();
    return [...findings, ...(this.#example.secrets ? [this.#noSecretShows()] : [])];
  }

  /** Nothing to do: the probe says so, and looking has changed nothing. */
  async #holds(): Promise<Finding> {
    await this.#prepare();
    const [before, found, after] = [await this.#look(), await this.#probe(), await this.#look()];
    return {
      clause: 'what holds is left alone',
      problems: [
        ...differing(found, this.#resource).map((difference) => `found something to do: ${difference}`),
        ...(before === after ? [] : [`things changed: ${before} became ${after}`]),
      ],
    };
  }

  async #fails(pattern: RegExp): Promise<Finding> {
    await this.#prepare();
    const [before, found] = [await this.#look(), await this.#probe()];
    const change = await this.#change(found);
    const explained = this.#resource.explain?.(change);
    const told = explained ? `${explained.what} (${explained.tryThis ?? ''})` : `nothing; it said: ${change.stderr}`;
    const after = await this.#look();
    return {
      clause: 'a failure is explained, and leaves things as they were',
      problems: [
        ...(change.exitCode === 0 ? ['it did not fail'] : []),
        ...(pattern.test(told) ? [] : [`it was explained by ${told}`]),
        ...(before === after ? [] : [`things changed: ${before} became ${after}`]),
      ],
    };
  }

  async #changes(): Promise<Finding[]> {
    await this.#prepare();
    const start = await this.#look();
    const found = await this.#probe();
    const afterProbe = await this.#look();
    const oldWhole = await this.#whole();
    const change = await this.#change(found);
    const reached = await this.#probe();
    const end = await this.#look();
    const newWhole = await this.#whole();
    const predicted: Finding = {
      clause: 'check predicts apply',
      problems: [
        ...(differing(found, this.#resource).length > 0 ? [] : ['the probe found nothing to do']),
        ...(start === afterProbe ? [] : [`the probe changed ${start} to ${afterProbe}`]),
        ...(change.exitCode === 0 ? [] : [`the change failed: ${change.exitCode} ${change.stderr}`]),
        ...this.#unmet(reached),
      ],
    };
    if (predicted.problems.length > 0) return [predicted];
    const reachedAgain = await this.#probe();
    const afterAll = await this.#look();
    const idempotent: Finding = {
      clause: 'twice is once',
      problems: [...this.#unmet(reachedAgain), ...(end === afterAll ? [] : [`${end} became ${afterAll}`])],
    };
    return [predicted, idempotent, await this.#cuts(oldWhole, newWhole, end)];
  }

  async #cuts(oldWhole: string, newWhole: string, end: string): Promise<Finding> {
    const problems: string[] = [];
    const cut = async (name: string, how: (change: Script) => Script): Promise<number> => {
      await this.#prepare();
      const found = await this.#probe();
      const [ran, counted] = await all(this.#session, [
        { id: 'cut', script: how(this.#wholeChange(found)), timeout: 120 },
        { id: 'count', script: sh`wc -l < ${HOOK}/count; cat ${HOOK}/argv`, timeout: 10 },
      ]);
      const [count = '0', ...argv] = counted?.stdout.split('\n') ?? [];
      this.#seen.push(...argv);
      if (name === NOWHERE && ran?.exitCode !== 0) problems.push(`not cut, but: ${ran?.exitCode} ${ran?.stderr}`);
      const whole = await this.#whole();
      if (whole !== oldWhole && whole !== newWhole) problems.push(`cut ${name}: half-done: ${whole}`);
      const left = await this.#probe();
      const change = differing(left, this.#resource).length > 0 ? await this.#change(left) : undefined;
      if (change && change.exitCode !== 0) problems.push(`cut ${name}: the next run failed: ${change.stderr}`);
      problems.push(...this.#unmet(await this.#probe()).map((problem) => `cut ${name}: ${problem}`));
      const after = await this.#look();
      if (after !== end) problems.push(`cut ${name}: ended with ${after} instead of ${end}`);
      return Number(count);
    };
    const boundaries = await cut(NOWHERE, (change) => hooked(change, 0));
    if (boundaries === 0) problems.push('no command was seen');
    for (let i = 1; i <= boundaries && problems.length < 5; i++) {
      await cut(`before command ${i} of ${boundaries}`, (change) => hooked(change, i));
    }
    for (const ms of this.#example.killAfter ?? []) await cut(`after ${ms} ms`, (change) => killedAfter(change, ms));
    return {
      clause: `cut at each of ${boundaries + (this.#example.killAfter?.length ?? 0)} boundaries, it converges`,
      problems,
    };
  }

  #noSecretShows(): Finding {
    const shown = [
      this.#resource.probe.shown,
      this.#resource.change({}).shown,
      JSON.stringify(this.#resource.wanted),
      ...this.#seen,
    ];
    const leaks = (this.#example.secrets ?? []).flatMap((secret) =>
      shown
        .filter((text) => text.includes(secret.reveal()))
        .map((text) => `the secret shows in: ${text.slice(0, 200)}`),
    );
    return { clause: 'no secret shows', problems: leaks };
  }

  #unmet(state: State): string[] {
    return this.#resource.verify === 'exit code'
      ? []
      : differing(state, this.#resource).map((difference) => `after it, ${difference}`);
  }

  async #prepare(): Promise<void> {
    const { exitCode, stderr, stdout } = await one(
      this.#session,
      sh`${fresh} || exit\n${this.#example.prepare ?? sh``}`,
    );
    if (exitCode !== 0) throw new Error(`${this.#example.name}: it could not be prepared: ${stdout}${stderr}`);
  }

  async #look(): Promise<string> {
    const { state = sh``, whole = sh`` } = this.#example;
    const texts = await Promise.all([everything, state, whole].map((script) => one(this.#session, script)));
    return texts.map(({ stdout }) => stdout).join('');
  }

  async #whole(): Promise<string> {
    return this.#example.whole ? (await one(this.#session, this.#example.whole)).stdout : '';
  }

  async #probe(): Promise<State> {
    const { exitCode, stdout, stderr } = await one(this.#session, this.#resource.probe);
    if (exitCode !== 0 || stderr !== '') throw new Error(`${this.#example.name}: the probe: ${exitCode} ${stderr}`);
    this.#seen.push(stdout);
    return parseState(stdout);
  }

  async #change(found: State): Promise<Text> {
    for (const piece of this.#resource.pieces?.(found) ?? []) {
      const result = await one(this.#session, piece);
      if (result.exitCode !== 0) return result;
    }
    const result = await one(this.#session, this.#resource.change(found), this.#resource.timeout ?? 120);
    this.#seen.push(result.stdout, result.stderr);
    const { confirm } = this.#resource;
    return result.exitCode === 0 && confirm ? one(this.#session, confirm.script) : result;
  }

  /** Pieces and change as one script. */
  #wholeChange(found: State): Script {
    const pieces = [...(this.#resource.pieces?.(found) ?? [])].map((piece) => sh`${piece} || exit`);
    return Script.join([...pieces, this.#resource.change(found)]);
  }
}

function differing(found: State, resource: Resource): string[] {
  return differences(found, resource.wanted).map(
    (difference) => `${difference.key} is ${difference.found}, wanted ${difference.wanted}`,
  );
}
