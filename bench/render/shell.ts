/** The tasks as one script, as somebody who knows the shell writes it by hand: `ssh host sh < script`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { quote } from '../../engine/script.ts';
import { sshConfig } from '../inventory.ts';
import type { Renderer } from '../job.ts';
import { type BenchTask, filledIn } from '../tasks.ts';

/** Prints a host's name, kernel, architecture, distribution and user. */
export const FACTS_SCRIPT = `uname -snrm
. /etc/os-release && echo "$ID $VERSION_ID"
id -un
cat /proc/1/comm
`;

/** Each function looks first, and changes only what differs. */
const FUNCTIONS = `set -eu
own() { [ "$(stat -c '%a %U:%G' -- "$1")" = "$2 root:root" ] || { chown root:root -- "$1"; chmod "$2" -- "$1"; }; }
dir() { [ -d "$1" ] || mkdir -- "$1"; own "$1" "$2"; }
put() {
  if ! printf %s "$3" | cmp -s - "$1"; then
    printf %s "$3" >"$1.new"; chmod "$2" "$1.new"; mv -- "$1.new" "$1"
  fi
  own "$1" "$2"
}
lnk() { [ "$(readlink -- "$1" || :)" = "$2" ] || ln -sfn -- "$2" "$1"; }
gone() { [ ! -e "$1" ] || rm -- "$1"; }
enable() { systemctl is-enabled -q "$1" 2>/dev/null || systemctl enable -q "$1"; }
package() { [ "$(dpkg-query -W -f '\${db:Status-Status}' "$1" 2>/dev/null)" = installed ] || apt-get install -q -y "$1"; }
`;

/** The script: functions, then one line for each task. */
export function shellScript(tasks: readonly BenchTask[]): string {
  return `${FUNCTIONS}\n${tasks.map(lineOf).join('\n')}\n`;
}

function lineOf(task: BenchTask): string {
  const mode = (text: string) => text.replace(/^0/, '');
  switch (task.kind) {
    case 'directory':
      return `dir ${quote(task.path)} ${mode(task.mode)}`;
    case 'file':
      return `put ${quote(task.path)} ${mode(task.mode)} ${quote(task.content)}`;
    case 'template':
      return `put ${quote(task.path)} ${mode(task.mode)} ${quote(filledIn(task.data))}`;
    case 'link':
      return `lnk ${quote(task.path)} ${quote(task.target)}`;
    case 'absent':
      return `gone ${quote(task.path)}`;
    case 'unit':
      return `enable ${quote(task.name)}`;
    case 'package':
      return `package ${quote(task.name)}`;
    case 'command':
      return `[ -e ${quote(task.creates)} ] || { ${task.script}; }`;
    case 'copy':
      throw new Error('large files do not go into a script');
  }
}

/** Runs ssh once. */
export const renderShell: Renderer = (job, access, into) => {
  const config = join(into, 'ssh_config');
  if (job.kind === 'inventory') return undefined;
  writeFileSync(config, sshConfig(access));
  const [first] = access.targets;
  if (!first) return undefined;
  const ssh = ['ssh', '-F', config, '-T'];
  if (job.kind === 'connect') {
    const names = join(into, 'names');
    writeFileSync(names, access.targets.map(({ name }) => `${name}\n`).join(''));
    return { argv: ['xargs', '-P', `${job.forks}`, '-I', '{}', ...ssh, '-n', '{}', 'true'], cwd: into, stdin: names };
  }
  if (job.kind === 'files') {
    const words = job.tasks.flatMap((task) => (task.kind === 'copy' ? [task] : []));
    // tar sets modes and owners, and renames the files.
    const names = words.map(
      ({ from, path }) => `--transform=${quote(`s,.*${from.replace(/^.*(?=\/)/, '')}$,${path},`)}`,
    );
    const sources = words.map(({ from }) => quote(from));
    const tar = `tar -c -P --owner=root --group=root --mode=0644 ${names.join(' ')} ${sources.join(' ')}`;
    return { argv: ['sh', '-c', `${tar} | ${ssh.map(quote).join(' ')} ${first.name} tar -x -P`], cwd: into };
  }
  const script = join(into, 'script.sh');
  writeFileSync(script, job.kind === 'facts' ? FACTS_SCRIPT : shellScript(job.tasks));
  const host = job.kind === 'mixed' ? (job.limit ?? first.name) : first.name;
  return { argv: [...ssh, host, 'sh'], cwd: into, stdin: script };
};
