/**
 * The contract that every resource keeps, on a real host:
 *
 * - check predicts apply;
 * - twice is once;
 * - undo, where there is one, restores every byte;
 * - a change is one round trip;
 * - cut before any command, it converges: before the first, the last and two between them, in `npm run test:all` before
 *   each;
 * - no secret shows;
 * - a failure is explained.
 *
 * A table of {@link Example}s brings a resource under it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { play } from '../../engine/play.ts';
import type { Session, Step } from '../../engine/remote/session.ts';
import type { Resource } from '../../engine/resource.ts';
import { isSharedProbe, type ProbeStep, withSharedProbes } from '../../engine/run/tasks/shared-probes.ts';
import { Script, sh } from '../../engine/script.ts';
import { differences, parseState, type State } from '../../engine/state.ts';
import { task } from '../../engine/task.ts';
import { FREE, NO_TRAFFIC, trafficBetween } from '../../engine/traffic.ts';
import { withFunctions } from '../engine/resources/local-shell.ts';
import { endsAndSome, SEED } from '../support/choice.ts';
import { roleOf, trips, World } from '../support/world.ts';
import { type Example, WORK } from './example.ts';

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

/** How many boundaries between the first and the last a change is cut at; `npm run test:all` takes all of them. */
const CUTS_BETWEEN = 2;

const NOWHERE = 'nowhere';
const HOOK = '/run/hw-contract';

/**
 * Makes a directory of stand-ins for every command of the host. Each writes its arguments to a log and, when it is the
 * one at which the change is to be cut, kills the whole process group instead of doing its work.
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
  const [text] = await all(session, [script], timeout);
  return text;
}

/** Runs scripts in one round trip. */
async function all<T extends readonly Script[]>(
  session: Session,
  scripts: readonly [...T],
  timeout = 120,
): Promise<{ readonly [K in keyof T]: Text }> {
  const results = await session.run(scripts.map((script, i): Step => ({ id: `s${i}`, script, timeout })));
  const texts = results.map((result) => ({
    exitCode: result.outcome === 'ran' ? result.exitCode : 255,
    stdout: result.stdout.toString(),
    stderr: result.stderr.toString() + (result.outcome === 'ran' ? '' : result.outcome),
  }));
  return texts as { readonly [K in keyof T]: Text };
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
    const looked = this.#resource.sharedProbe ? [await this.#looked()] : [];
    return [...findings, ...looked, ...(this.#example.secrets ? [this.#noSecretShows()] : [])];
  }

  /** Asked together with others, a probe says what it says alone: before the change, and after it. */
  async #looked(): Promise<Finding> {
    const problems: string[] = [];
    const { probe, sharedProbe } = this.#resource;
    const compare = async (when: string): Promise<void> => {
      const step = (id: string): ProbeStep => ({ id, script: probe, timeout: 60, capture: true, sharedProbe });
      const [alone] = await this.#session.run([step('alone')]);
      const results = await this.#session.run(withSharedProbes([step('one'), step('other')]));
      if (!results.some((result) => isSharedProbe(result) && result.exitCode === 0))
        problems.push(`${when}: the shared probe did not run`);
      for (const { stdout } of results.filter((result) => !isSharedProbe(result))) {
        if (!alone?.stdout.equals(stdout)) problems.push(`${when}: ${stdout} instead of ${alone?.stdout}`);
      }
    };
    const { found } = await this.#start();
    await compare('before');
    if (differing(found, this.#resource).length > 0) await this.#change(found);
    await compare('after');
    return { clause: 'probed with others, it finds what it finds alone', problems };
  }

  /** Nothing to do: the probe says so, and looking has changed nothing. */
  async #holds(): Promise<Finding> {
    const { before, found } = await this.#start();
    const { looks: after } = await this.#end();
    return {
      clause: 'what holds is left alone',
      problems: [
        ...differing(found, this.#resource).map((difference) => `found something to do: ${difference}`),
        ...(before === after ? [] : [`things changed: ${before} became ${after}`]),
      ],
    };
  }

  async #fails(pattern: RegExp): Promise<Finding> {
    const { before, found } = await this.#start();
    const change = await this.#change(found);
    const explained = this.#resource.explain?.(change);
    const told = explained ? `${explained.what} (${explained.hint ?? ''})` : `nothing; it said: ${change.stderr}`;
    const { looks: after } = await this.#end();
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
    const { before, found, whole: oldWhole } = await this.#start();
    const { looks: probed } = await this.#end();
    await this.#seeDetail();
    const change = await this.#change(found);
    const { found: reached, looks: end, whole: newWhole } = await this.#end();
    const predicted: Finding = {
      clause: 'check predicts apply',
      problems: [
        ...(differing(found, this.#resource).length > 0 ? [] : ['the probe found nothing to do']),
        ...(before === probed ? [] : [`the probe changed ${before} to ${probed}`]),
        ...(change.exitCode === 0 ? [] : [`the change failed: ${change.exitCode} ${change.stderr}`]),
        ...this.#unmet(reached),
      ],
    };
    if (predicted.problems.length > 0) return [predicted];
    const { found: reachedAgain, looks: afterAll } = await this.#end();
    const idempotent: Finding = {
      clause: 'twice is once',
      problems: [...this.#unmet(reachedAgain), ...(end === afterAll ? [] : [`${end} became ${afterAll}`])],
    };
    const undone = this.#resource.undo ? [await this.#undone()] : [];
    return [predicted, idempotent, ...undone, await this.#costs(end), await this.#cuts(oldWhole, newWhole, end)];
  }

  /** Undo, given what was found before the change: byte for byte as before it. A second time, it changes nothing. */
  async #undone(): Promise<Finding> {
    const { before, found } = await this.#start();
    const change = await this.#change(found);
    const problems = change.exitCode === 0 ? [] : [`the change failed: ${change.exitCode} ${change.stderr}`];
    for (const time of ['undone', 'undone twice']) {
      const undo = await this.#confirmed(this.#resource.undo?.(found) ?? sh`false`);
      if (undo.exitCode !== 0) problems.push(`${time}: it failed: ${undo.exitCode} ${undo.stderr}`);
      const { looks } = await this.#end();
      if (looks !== before) problems.push(`${time}: ${looks} instead of ${before}`);
    }
    return { clause: 'undone, it is byte for byte what it was', problems };
  }

  /**
   * A run of the engine that makes this change: one round trip to look, one to change; before it those of an upload,
   * after it a new connection.
   */
  async #costs(end: string): Promise<Finding> {
    const { found } = await this.#start();
    const { upload, confirm } = this.#resource;
    const folder = mkdtempSync(join(tmpdir(), 'heartwood-contract-'));
    try {
      const world = new World(folder, [this.#session.name]);
      const role = roleOf(() => [task('The change', this.#resource)]);
      const { events } = await world.run([play({ name: 'One change', hosts: 'all', roles: [role()] })], {
        open: async () => kept(this.#session),
      });
      this.#seen.push(...events.map((event) => JSON.stringify(event)));
      const { looks } = await this.#end();
      const cost = trips(events, this.#session.name);
      const sent = upload?.(found) ? [`change ${this.#session.channelRoundTrips + 1}`] : [];
      const wanted = ['check 1', ...sent, 'change 1', ...(confirm ? ['confirm 0'] : [])];
      const failures = events.flatMap((event) =>
        event.type === 'task-finished' && event.failure ? event.failure.what : [],
      );
      return {
        clause: 'a change is a round trip to look and one to change',
        problems: [
          ...failures,
          ...(cost.join() === wanted.join() ? [] : [`it cost ${cost.join(', ')}; wanted: ${wanted.join(', ')}`]),
          ...(looks === end ? [] : [`ended with ${looks} instead of ${end}`]),
        ],
      };
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  async #cuts(oldWhole: string, newWhole: string, end: string): Promise<Finding> {
    const problems: string[] = [];
    const cut = async (name: string, how: (change: Script) => Script): Promise<number> => {
      const { found } = await this.#start();
      const { whole: wholeScript = sh`` } = this.#example;
      const [ran, counted, whole, probed] = await all(this.#session, [
        how(await this.#wholeChange(found)),
        sh`wc -l < ${HOOK}/count; cat ${HOOK}/argv`,
        wholeScript,
        this.#resource.probe,
      ]);
      const [count = '0', ...argv] = counted.stdout.split('\n');
      this.#seen.push(...argv);
      const problem = (what: string): number => problems.push(`cut ${name}: ${what}`);
      if (name === NOWHERE && ran.exitCode !== 0) problem(`it failed: ${ran.exitCode} ${ran.stderr}`);
      if (whole.stdout !== oldWhole && whole.stdout !== newWhole) problem(`half-done: ${whole.stdout}`);
      const left = this.#read(probed);
      const change = differing(left, this.#resource).length > 0 ? await this.#change(left) : undefined;
      if (change && change.exitCode !== 0) problem(`the next run failed: ${change.stderr}`);
      const { found: reached, looks } = await this.#end();
      this.#unmet(reached).forEach(problem);
      if (looks !== end) problem(`ended with ${looks} instead of ${end}`);
      return Number(count);
    };
    const boundaries = await cut(NOWHERE, (change) => hooked(change, 0));
    if (boundaries === 0) problems.push('no command was seen');
    const numbers = Array.from({ length: boundaries }, (_, index) => index + 1);
    const cutAt = endsAndSome(numbers, CUTS_BETWEEN);
    for (const number of cutAt) {
      if (problems.length >= 5) break;
      await cut(`before command ${number} of ${boundaries}`, (change) => hooked(change, number));
    }
    const killedAt = endsAndSome(this.#example.killAfter ?? [], CUTS_BETWEEN);
    for (const ms of killedAt) await cut(`after ${ms} ms`, (change) => killedAfter(change, ms));
    const boundariesAndTimes = boundaries + (this.#example.killAfter?.length ?? 0);
    return {
      clause: `cut at ${cutAt.length + killedAt.length} of ${boundariesAndTimes} boundaries (seed ${SEED}), it converges`,
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

  /** Prepares, looks, probes. */
  async #start(): Promise<{ before: string; whole: string; found: State }> {
    const { state = sh``, whole = sh``, prepare = sh`` } = this.#example;
    const [prepared, files, states, wholes, probed] = await all(this.#session, [
      sh`${fresh} || exit\n${prepare}`,
      everything,
      state,
      whole,
      this.#resource.probe,
    ]);
    if (prepared.exitCode !== 0) {
      throw new Error(`${this.#example.name}: it could not be prepared: ${prepared.stdout}${prepared.stderr}`);
    }
    const before = files.stdout + states.stdout + wholes.stdout;
    return { before, whole: wholes.stdout, found: this.#read(probed) };
  }

  /** Probes, and looks with other eyes. */
  async #end(): Promise<{ looks: string; whole: string; found: State }> {
    const { state = sh``, whole = sh`` } = this.#example;
    const [probed, files, states, wholes] = await all(this.#session, [this.#resource.probe, everything, state, whole]);
    const looks = files.stdout + states.stdout + wholes.stdout;
    return { looks, whole: wholes.stdout, found: this.#read(probed) };
  }

  /** What `--diff` would show. */
  async #seeDetail(): Promise<void> {
    const { detail } = this.#resource;
    if (detail) this.#seen.push(await detail.render((await one(this.#session, detail.script)).stdout));
  }

  #read({ exitCode, stdout, stderr }: Text): State {
    if (exitCode !== 0 || stderr !== '') throw new Error(`${this.#example.name}: the probe: ${exitCode} ${stderr}`);
    this.#seen.push(stdout);
    return parseState(stdout);
  }

  async #change(found: State): Promise<Text> {
    const upload = this.#resource.upload?.(found);
    if (upload) {
      const [sent] = await this.#session.upload([{ ...upload, id: 'upload', timeout: 60 }]);
      if (sent && sent.exitCode !== 0)
        return { exitCode: sent.exitCode, stdout: sent.stdout.toString(), stderr: sent.stderr.toString() };
    }
    return this.#confirmed(this.#resource.change(found));
  }

  async #confirmed(change: Script): Promise<Text> {
    const result = await one(this.#session, change, this.#resource.timeout ?? 120);
    this.#seen.push(result.stdout, result.stderr);
    const { confirm } = this.#resource;
    return result.exitCode === 0 && confirm ? one(this.#session, confirm.script) : result;
  }

  /** Upload and change as one script. */
  async #wholeChange(found: State): Promise<Script> {
    const change = this.#resource.change(found);
    const upload = this.#resource.upload?.(found);
    if (!upload) return change;
    const content = Buffer.concat(await upload.content().toArray()).toString('base64');
    return Script.join([
      sh`printf %s ${content} | base64 -d | { ${upload.script}
} || exit`,
      change,
    ]);
  }
}

/** A session that a run may use and not close; the host is ours alone. */
export function kept(session: Session): Session {
  const before = { ...session.traffic };
  return {
    name: session.name,
    machine: session.machine,
    channelRoundTrips: session.channelRoundTrips,
    wire: NO_TRAFFIC,
    opening: { connect: FREE, authenticate: FREE, become: FREE },
    get traffic() {
      return trafficBetween(before, session.traffic);
    },
    run: (steps, listener) => session.run(steps, listener),
    upload: (transfers) => session.upload(transfers),
    read: (script) => session.read(script),
    lock: () => {},
    interrupt: (how) => session.interrupt(how),
    close: async () => {},
  };
}

function differing(found: State, resource: Resource): string[] {
  return differences(found, resource.wanted).map(
    (difference) => `${difference.key} is ${difference.found}, wanted ${difference.wanted}`,
  );
}
