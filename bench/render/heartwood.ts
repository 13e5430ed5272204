/** The tasks for Heartwood, and the command lines of its playbooks. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Script, type Task, task } from '../../engine/index.ts';
import { absent } from '../../engine/resources/absent.ts';
import { apt } from '../../engine/resources/apt.ts';
import { command } from '../../engine/resources/command.ts';
import { copy } from '../../engine/resources/copy.ts';
import { directory } from '../../engine/resources/directory.ts';
import { file } from '../../engine/resources/file.ts';
import { link } from '../../engine/resources/link.ts';
import { unit } from '../../engine/resources/systemd.ts';
import { templateText } from '../../engine/template.ts';
import { iniInventory, largeIni, largeInventory } from '../inventory.ts';
import type { Renderer } from '../job.ts';
import { REPOSITORY } from '../paths.ts';
import { type BenchTask, TEMPLATE, titleOf } from '../tasks.ts';

const render = templateText(TEMPLATE, 'service.ini');

/** The tasks of a role. */
export function heartwoodTasks(work: readonly BenchTask[]): readonly Task[] {
  return work.map((item) => task(titleOf(item), resourceOf(item)));
}

function resourceOf(item: BenchTask) {
  switch (item.kind) {
    case 'directory':
      return directory({ path: item.path, mode: item.mode });
    case 'file':
      return file({ path: item.path, mode: item.mode, content: item.content });
    case 'template':
      return file({ path: item.path, mode: item.mode, content: render(item.data) });
    case 'link':
      return link({ path: item.path, target: item.target });
    case 'absent':
      return absent({ path: item.path });
    case 'unit':
      return unit(item.name, { enabled: true });
    case 'package':
      return apt(item.name);
    case 'command':
      return command(Script.raw(item.script), { creates: item.creates });
    case 'copy':
      return copy({ path: item.path, mode: item.mode, from: item.from });
  }
}

/** Runs Heartwood as a user does, with node and tsx. */
export const renderHeartwood: Renderer = (job, access, into) => {
  const inventory = join(into, 'hosts');
  writeFileSync(inventory, job.kind === 'inventory' ? largeIni(largeInventory(job.hosts)) : iniInventory(access));
  const node = (program: string, ...words: string[]) => ({
    argv: [process.execPath, '--import', 'tsx', join(REPOSITORY, program), ...words],
    cwd: into,
  });
  switch (job.kind) {
    case 'mixed':
    case 'files':
      return node(`bench/playbooks/${job.kind}.ts`, '-i', inventory, ...(job.limit ? ['--limit', job.limit] : []));
    case 'facts':
      return node('bench/playbooks/facts.ts', '-i', inventory);
    case 'connect':
      return node('scripts/run.ts', 'all', '-i', inventory, '--forks', `${job.forks}`, '--', 'true');
    case 'inventory':
      return node('bench/playbooks/mixed.ts', '-i', inventory, '--list-hosts');
  }
};
