/** A batch as the text that a session's shell is sent. */
import { createHash } from 'node:crypto';
import { definition, type Script, type ShellFunction } from '../script.ts';
import type { Step } from './session.ts';

/**
 * The lines of a batch. Steps are numbered from 0 in records.
 * @param defined The functions the shell knows by now: by name, their bodies, of long ones the hash. What this batch adds is
 * added to it.
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
      text(step, step.script),
      text(step, step.onlyIf),
      text(step, step.stopIf),
    ];
    return `${definitions.join('')}hw_step ${words.join(' ')}\n`;
  });
  return `hw_stop= hw_probed=\n${lock}${lines.join('')}`;
}

/** What the far side is to do with a step besides running it: keep its output, unseen or not, or forget what was seen before. */
function kindOf({ capture, mayChange }: Step): 'u' | 'c' | 'x' | 's' {
  if (capture) return capture === 'unseen' ? 'u' : 'c';
  return mayChange ? 'x' : 's';
}

/** A step's id as the end of a shell variable's name. */
function variableName(id: string): string {
  if (!/^[\w.-]+$/.test(id)) throw new TypeError(`step id ${JSON.stringify(id)}: letters, digits, ".", "-", "_" only`);
  return id.replace(/[.-]/g, '_');
}

/** Through eval, so that a function that is not well formed fails the step that calls it and not the session. */
function define(fn: ShellFunction, defined: Map<string, string>): string {
  const { functionName, body } = fn;
  // A content may be long, and the session be one of many.
  const known = body.length < 4096 ? body : createHash('sha256').update(body).digest('hex');
  if (defined.get(functionName) === known) return '';
  defined.set(functionName, known);
  return `command eval ${literal(definition(fn))}\n`;
}

function text(step: Step, script: Script | undefined): string {
  const revealed = script?.reveal() ?? '';
  if (revealed.includes('\0')) throw new TypeError(`step ${step.id}: a script cannot hold a NUL byte`);
  return literal(revealed);
}

/** Unlike `quote`, quotes always: an empty word must stay a word. */
function literal(value: string): string {
  return `'${value.replaceAll("'", `'\\''`)}'`;
}
