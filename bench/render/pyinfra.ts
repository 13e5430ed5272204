/** The tasks as a pyinfra deploy. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { largeInventory, largePyinfra, pyinfraInventory } from '../inventory.ts';
import type { Renderer } from '../job.ts';
import { type BenchTask, TEMPLATE, titleOf } from '../tasks.ts';

/** A Python string literal. JSON's strings are valid ones. */
const text = (value: string) => JSON.stringify(value);

function operationOf(task: BenchTask): string {
  const own = 'user="root", group="root"';
  const name = `name=${text(titleOf(task))}`;
  switch (task.kind) {
    case 'directory':
      return `files.directory(${name}, path=${text(task.path)}, mode="${task.mode.replace(/^0/, '')}", ${own})`;
    case 'file':
      return `files.put(${name}, src=StringIO(${text(task.content)}), dest=${text(task.path)}, mode="${task.mode.replace(/^0/, '')}", create_remote_dir=False, ${own})`;
    case 'template':
      return `files.template(${name}, src="service.ini.j2", dest=${text(task.path)}, mode="${task.mode.replace(/^0/, '')}", create_remote_dir=False, ${own}, ${Object.entries(
        task.data,
      )
        .map(([key, value]) => `${key}=${text(value)}`)
        .join(', ')})`;
    case 'link':
      return `files.link(${name}, path=${text(task.path)}, target=${text(task.target)}, create_remote_dir=False)`;
    case 'absent':
      return `files.file(${name}, path=${text(task.path)}, present=False)`;
    case 'unit':
      return `systemd.service(${name}, service=${text(task.name)}, running=None, enabled=True)`;
    case 'package':
      return `apt.packages(${name}, packages=[${text(task.name)}])`;
    case 'command':
      return `if not host.get_fact(File, path=${text(task.creates)}):\n    server.shell(${name}, commands=[${text(task.script)}])`;
    case 'copy':
      return `files.put(${name}, src=${text(task.from)}, dest=${text(task.path)}, mode="${task.mode.replace(/^0/, '')}", create_remote_dir=False, ${own})`;
  }
}

/** The same facts by pyinfra's names. */
const FACTS = ['Hostname', 'Kernel', 'KernelVersion', 'Arch', 'LinuxDistribution', 'User'].map(
  (name) => `server.${name}`,
);

/** A renderer that calls the pyinfra in the folder `bin`. */
export function pyinfraRenderer(bin: string): Renderer {
  return (job, access, into) => {
    const inventory = join(into, 'inventory.py');
    writeFileSync(
      inventory,
      job.kind === 'inventory' ? largePyinfra(largeInventory(job.hosts)) : pyinfraInventory(access),
    );
    const call = (...words: string[]) => ({
      argv: [join(bin, 'pyinfra'), ...words],
      env: { LC_ALL: 'C.UTF-8' },
      cwd: into,
    });
    switch (job.kind) {
      case 'mixed':
      case 'files': {
        const deploy = [
          'from io import StringIO',
          'from pyinfra import host',
          'from pyinfra.facts.files import File',
          'from pyinfra.operations import apt, files, server, systemd',
          '',
          ...job.tasks.map(operationOf),
          '',
        ].join('\n');
        writeFileSync(join(into, 'deploy.py'), deploy);
        writeFileSync(join(into, 'service.ini.j2'), TEMPLATE);
        return call('-y', inventory, 'deploy.py', ...(job.limit ? ['--limit', job.limit] : []));
      }
      case 'facts':
        return call(inventory, 'fact', ...FACTS);
      case 'connect':
        return call('-y', '--parallel', `${job.forks}`, inventory, 'exec', '--', 'true');
      case 'inventory':
        return call(inventory, 'debug-inventory');
    }
  };
}
