/** A script of one's own, for what no resource says better. */

import { InvalidValue, kindOf } from '../errors.ts';
import { type Resource, UNCHANGED } from '../resource.ts';
import { Script, sh } from '../script.ts';
import { type Names, validateOptions } from '../validate-options.ts';
import { absolutePath } from './atomic-path.ts';

/** What {@link command} takes besides its script. Without `creates` and `unless` the script runs every time. */
export interface CommandOptions {
  /** What it is called in messages. Default: the first line of the script. */
  readonly id?: string;
  /** A path; where something is there, the command is done. */
  readonly creates?: string;
  /** A script that only reads; where it succeeds, the command is done. */
  readonly unless?: Script;
  /**
   * Whether running it changed something: `false` for one that only looks, or a condition on what it printed, given the
   * output as an argument: `(stdout) => sh`case ${stdout} in *created*) ;; *) false ;; esac``. It is evaluated on the host.
   * Default: true.
   */
  readonly changed?: false | ((stdout: Script) => Script);
  /** Seconds. Default: 600. */
  readonly timeout?: number;
}

const OPTIONS: Names<CommandOptions> = { id: true, creates: true, unless: true, changed: true, timeout: true };

/**
 * A script, run where it is not done yet. Its exit code is that of its last command; 0 is success. With `creates` or
 * `unless`, these must hold afterwards, or the task fails.
 */
export function command(script: Script, options: CommandOptions = {}): Resource {
  if (!(script instanceof Script)) {
    throw new InvalidValue({
      what: `the script of a command is ${kindOf(script)}`,
      expected: 'sh`systemctl daemon-reload`',
    });
  }
  validateOptions('command', options, OPTIONS);
  const { creates, unless, changed, timeout } = options;
  const conditions = [
    ...(creates === undefined ? [] : [sh`[ -e ${absolutePath(creates)} ]`]),
    ...(unless === undefined ? [] : [sh`( ${unless}\n) >/dev/null 2>&1 </dev/null`]),
  ];
  const done = conditions.length === 0 ? sh`false` : Script.join(conditions, ' && ');
  const id = options.id ?? firstLine(script.shown);
  return {
    kind: 'command',
    id,
    probe: sh`if ${done}; then echo done=yes; else echo done=no; fi`,
    wanted: { done: 'yes' },
    change: () => (typeof changed === 'function' ? judged(script, changed) : script),
    undo: { kind: 'none', why: 'a command says nothing of how to take it back' },
    verify: conditions.length === 0 ? 'exit code' : 'probe',
    timeout,
    readOnly: changed === false,
  };
}

/** The script with its output held back until it ends, then judged. */
function judged(script: Script, changed: (stdout: Script) => Script): Script {
  return sh`
hw_stdout=$( ${script}
)
hw_rc=$?
printf '%s\n' "$hw_stdout"
[ $hw_rc = 0 ] || exit $hw_rc
( ${changed(Script.raw('"$hw_stdout"'))}
) || exit ${UNCHANGED}`;
}

function firstLine(text: string): string {
  const [line = ''] = text.trim().split('\n');
  return line.length > 60 ? `${line.slice(0, 57)}...` : line;
}
