/**
 * The state of a host where the tasks are done: what it is, how to print it, how to undo it. The scripts run on the
 * host.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { quote } from '../engine/script.ts';
import { type BenchTask, DRIFTED, filledIn } from './tasks.ts';

/** One line for each task: what must be there, or must not. */
export function expectedState(tasks: readonly BenchTask[]): string {
  return tasks.map(expectedLine).join('\n');
}

function expectedLine(task: BenchTask): string {
  const mode = (text: string) => text.replace(/^0/, '');
  switch (task.kind) {
    case 'directory':
      return `${task.path} directory ${mode(task.mode)} root:root`;
    case 'file':
      return `${task.path} file ${mode(task.mode)} root:root ${sha256(task.content)}`;
    case 'template':
      return `${task.path} file ${mode(task.mode)} root:root ${sha256(filledIn(task.data))}`;
    case 'copy':
      return `${task.path} file ${mode(task.mode)} root:root ${sha256(readFileSync(task.from))}`;
    case 'command':
      return `${task.creates} file 644 root:root ${sha256(task.leaves)}`;
    case 'link':
      return `${task.path} link ${task.target}`;
    case 'absent':
      return `${task.path} absent`;
    case 'unit':
      return `unit ${task.name} enabled`;
    case 'package':
      return `package ${task.name} installed`;
  }
}

function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

/** A script that prints the same lines, from what is there. */
export function stateScript(tasks: readonly BenchTask[]): string {
  const words = tasks.map((task) => {
    if (task.kind === 'unit') return `unit ${quote(task.name)}`;
    if (task.kind === 'package') return `package ${quote(task.name)}`;
    return `at ${quote(task.kind === 'command' ? task.creates : task.path)}`;
  });
  return `
at() {
  if [ -L "$1" ]; then echo "$1 link $(readlink "$1")"
  elif [ -d "$1" ]; then stat -c '%n directory %a %U:%G' "$1"
  elif [ -f "$1" ]; then echo "$(stat -c '%n file %a %U:%G' "$1") $(sha256sum <"$1" | cut -d' ' -f1)"
  else echo "$1 absent"; fi
}
unit() { echo "unit $1 $(systemctl is-enabled "$1" 2>/dev/null)"; }
package() { echo "package $1 $(dpkg-query -W -f '\${db:Status-Status}' "$1" 2>/dev/null)"; }
${words.join('\n')}
`;
}

/** A script that undoes all tasks, and creates what they remove. */
export function undoScript(tasks: readonly BenchTask[]): string {
  const units = tasks.flatMap((task) => (task.kind === 'unit' ? [task.name] : []));
  const made = tasks.flatMap((task) => {
    if (task.kind === 'absent' || task.kind === 'unit' || task.kind === 'package') return [];
    return [quote(task.kind === 'command' ? task.creates : task.path)];
  });
  const stale = tasks.flatMap((task) => (task.kind === 'absent' ? [quote(task.path)] : []));
  return [
    units.length > 0 ? `systemctl disable -q ${units.join(' ')} 2>/dev/null` : ':',
    `rm -rf -- ${made.join(' ')}`,
    ...stale.map((path) => `echo stale > ${path}`),
    'systemctl daemon-reload',
    // Writes of this tool must not slow the next one.
    'sync',
  ].join('\n');
}

/** A script that undoes one of the 60 tasks. */
export const driftScript = `echo spoiled >> ${DRIFTED}`;
