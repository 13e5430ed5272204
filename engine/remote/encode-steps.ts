/** Steps as the text that is sent to a session's shell. */
import { createHash } from 'node:crypto';
import { definition, type Script, type ShellFunction } from '../script.ts';
import type { Step } from './session.ts';

/**
 * One line a step, after the definitions of the functions it needs. Records number the steps from 0.
 * @param defined The functions the shell knows: bodies by name, of long ones the hash. Those that are defined here are
 * added.
 * @param lock The line that takes the lock, where it is to be taken.
 * @throws TypeError when a step's id or script cannot be sent.
 */
export function encodeSteps(steps: readonly Step[], defined: Map<string, string>, lock = ''): string {
  const lines = steps.map((step, index) => {
    const parts = [step.script, step.onlyIf, step.stopIf].filter((script) => script !== undefined);
    const definitions = parts.flatMap(({ functions }) => functions.map((fn) => define(fn, defined)));
    const words = [
      String(index),
      variableName(step.id),
      kindOf(step),
      scriptWord(step, step.script),
      scriptWord(step, step.onlyIf),
      scriptWord(step, step.stopIf),
    ];
    return `${definitions.join('')}hw_step ${words.join(' ')}\n`;
  });
  return `hw_stop= hw_probed=\n${lock}${lines.join('')}`;
}

/** `c`: keep its output, `u`: keep it and send none of it, `x`: it may change the host, `s`: none of these. */
function kindOf({ capture, mayChange }: Step): 'u' | 'c' | 'x' | 's' {
  if (capture) return capture === 'unseen' ? 'u' : 'c';
  return mayChange ? 'x' : 's';
}

/** A step's id as the end of a shell variable's name. */
function variableName(id: string): string {
  if (!/^[\w.-]+$/.test(id)) throw new TypeError(`step id ${JSON.stringify(id)}: letters, digits, ".", "-", "_" only`);
  return id.replace(/[.-]/g, '_');
}

/** Through eval, so that a function with a syntax error fails the step that calls it and not the session. */
function define(fn: ShellFunction, defined: Map<string, string>): string {
  const { functionName, body } = fn;
  // A body may hold a long content, and there are many sessions: the hash saves memory.
  const known = body.length < 4096 ? body : createHash('sha256').update(body).digest('hex');
  if (defined.get(functionName) === known) return '';
  defined.set(functionName, known);
  return `command eval ${literal(definition(fn))}\n`;
}

function scriptWord(step: Step, script: Script | undefined): string {
  const revealed = script?.reveal() ?? '';
  if (revealed.includes('\0')) throw new TypeError(`step ${step.id}: a script cannot hold a NUL byte`);
  return literal(revealed);
}

/** Unlike `quote`, quotes always: an empty word must stay a word. */
function literal(value: string): string {
  return `'${value.replaceAll("'", `'\\''`)}'`;
}
