/** The tasks as an Ansible playbook. Mitogen runs the same one. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { iniInventory, largeIni, largeInventory } from '../inventory.ts';
import type { Renderer } from '../job.ts';
import { type BenchTask, TEMPLATE, titleOf } from '../tasks.ts';

/** Which Ansible, with which settings. */
export interface AnsibleFlavour {
  /** The folder of its programs. */
  readonly bin: string;
  readonly pipelining: boolean;
  /** The folder of Mitogen's strategy plugins. */
  readonly mitogen?: string;
}

function taskOf(task: BenchTask): Record<string, unknown> {
  const own = { owner: 'root', group: 'root' };
  switch (task.kind) {
    case 'directory':
      return { 'ansible.builtin.file': { path: task.path, state: 'directory', mode: task.mode, ...own } };
    case 'file':
      return { 'ansible.builtin.copy': { dest: task.path, content: task.content, mode: task.mode, ...own } };
    case 'template':
      return {
        'ansible.builtin.template': { src: 'service.ini.j2', dest: task.path, mode: task.mode, ...own },
        vars: task.data,
      };
    case 'link':
      // Do not touch the target: it is a task of its own.
      return { 'ansible.builtin.file': { path: task.path, src: task.target, state: 'link', follow: false } };
    case 'absent':
      return { 'ansible.builtin.file': { path: task.path, state: 'absent' } };
    case 'unit':
      return { 'ansible.builtin.systemd_service': { name: task.name, enabled: true } };
    case 'package':
      return { 'ansible.builtin.apt': { name: task.name, state: 'present' } };
    case 'command':
      return { 'ansible.builtin.shell': { cmd: task.script, creates: task.creates } };
    case 'copy':
      return { 'ansible.builtin.copy': { src: task.from, dest: task.path, mode: task.mode, ...own } };
  }
}

/**
 * Settings for every call of Ansible's programs: they ignore this machine's configuration and keep their files below
 * `home`.
 */
export function ansibleBasics(home: string): Readonly<Record<string, string>> {
  const config = join(home, 'ansible.cfg');
  writeFileSync(config, '');
  return { ANSIBLE_CONFIG: config, ANSIBLE_HOME: join(home, 'home'), ANSIBLE_NOCOLOR: '1', LC_ALL: 'C.UTF-8' };
}

/** A renderer for one flavour. Ansible's defaults hold but for settings that do not change its speed. */
export function ansibleRenderer({ bin, pipelining, mitogen }: AnsibleFlavour): Renderer {
  return (job, access, into) => {
    const inventory = join(into, 'hosts');
    writeFileSync(inventory, job.kind === 'inventory' ? largeIni(largeInventory(job.hosts)) : iniInventory(access));
    const env = {
      ...ansibleBasics(into),
      ANSIBLE_PIPELINING: pipelining ? 'True' : 'False',
      ANSIBLE_HOST_KEY_CHECKING: 'True',
      // A socket's path has at most 108 bytes.
      ANSIBLE_SSH_CONTROL_PATH: '/tmp/heartwood-bench-%%C',
      ...(mitogen === undefined ? {} : { ANSIBLE_STRATEGY_PLUGINS: mitogen, ANSIBLE_STRATEGY: 'mitogen_linear' }),
    };
    const call = (program: string, ...words: string[]) => ({ argv: [join(bin, program), ...words], env, cwd: into });
    const play = (tasks: readonly Record<string, unknown>[]) => {
      const book = join(into, 'playbook.yml');
      writeFileSync(book, stringify([{ name: 'Bench', hosts: 'bench', gather_facts: false, tasks }]));
      return book;
    };
    switch (job.kind) {
      case 'mixed':
      case 'files': {
        writeFileSync(join(into, 'service.ini.j2'), TEMPLATE);
        const book = play(job.tasks.map((task) => ({ name: titleOf(task), ...taskOf(task) })));
        return call('ansible-playbook', '-i', inventory, book, ...(job.limit ? ['--limit', job.limit] : []));
      }
      case 'facts':
        // The smallest subset with the same facts.
        return call('ansible', 'all', '-i', inventory, '-m', 'ansible.builtin.setup', '-a', 'gather_subset=min');
      case 'connect':
        // The lightest module: raw needs no Python on the host.
        return call('ansible', 'all', '-i', inventory, '-f', `${job.forks}`, '-m', 'ansible.builtin.raw', '-a', 'true');
      case 'inventory':
        return call('ansible-playbook', '-i', inventory, '--list-hosts', play([]));
    }
  };
}
