/** A script, for what no other resource does. */

import { InvalidValue, kindOf } from '../errors.ts';
import { type Resource, UNCHANGED } from '../resource.ts';
import { Script, sh } from '../script.ts';
import { type OptionsOf, SCRIPT, SECONDS, TEXT, validateOptions, valueType } from '../validate-options.ts';
import { PATH } from './atomic-path.ts';

const OPTIONS = {
  /** What it is called in messages. Default: the first line of the script. */
  id: TEXT,
  /** A path. Where something is there, the command is done. */
  creates: PATH,
  /** A script that only reads. Where it succeeds, the command is done. */
  unless: SCRIPT,
  /**
   * Whether running it changed something: `false` for one that only looks, or a condition on what it printed, given the
   * output as an argument: `(stdout) => sh`case ${stdout} in *created*) ;; *) false ;; esac``. It is evaluated on the
   * host. Default: it did.
   */
  changed: valueType<false | ((stdout: Script) => Script)>(
    'false, or a function of the output: (stdout) => sh`case ${stdout} in *created*) ;; *) false ;; esac`',
    (value) => value === false || typeof value === 'function',
  ),
  /** Seconds. Default: 600. */
  timeout: SECONDS,
};

/** What {@link command} takes besides its script. Without `creates` and `unless` the script runs every time. */
export type CommandOptions = OptionsOf<typeof OPTIONS>;

/**
 * A script that runs where it is not done yet. Its exit code is that of its last command; 0 is success. With `creates`
 * or `unless`, these must hold afterwards, or the task fails.
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
    ...(creates === undefined ? [] : [sh`[ -e ${creates} ]`]),
    ...(unless === undefined ? [] : [sh`( ${unless}\n) >/dev/null 2>&1 </dev/null`]),
  ];
  const done = conditions.length === 0 ? sh`false` : Script.join(conditions, ' && ');
  const id = options.id ?? firstLine(script.shown);
  return {
    kind: 'command',
    id,
    probe: sh`if ${done}; then echo done=yes; else echo done=no; fi`,
    wanted: { done: 'yes' },
    change: () => (typeof changed === 'function' ? reportingChanges(script, changed) : script),
    noUndo: 'a command does not say how to take it back',
    verify: conditions.length === 0 ? 'exit code' : 'probe',
    timeout,
    readOnly: changed === false,
  };
}

/** The script with its output held back until it ends, for the `changed` condition. */
function reportingChanges(script: Script, changed: (stdout: Script) => Script): Script {
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
