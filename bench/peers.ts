/**
 * The tools that Heartwood is measured beside, each installed into a folder of its own below `.bench/peers`, in the newest
 * version that this machine's Python allows. Removing the folder has newer ones installed.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../engine/errors.ts';
import { $, localEnvironment, type Say } from '../lab/local.ts';
import type { Renderer } from './job.ts';
import { folder, place } from './places.ts';
import { ansibleBasics, ansibleRenderer } from './render/ansible.ts';
import { renderHeartwood } from './render/heartwood.ts';
import { pyinfraRenderer } from './render/pyinfra.ts';
import { renderShell } from './render/shell.ts';

/** A tool, ready to be measured. */
export interface Tool {
  readonly id: ToolId;
  /** As tables call it. */
  readonly title: string;
  readonly version: string;
  readonly render: Renderer;
}

/** The tools, in the order of tables. */
export const TOOL_IDS = ['heartwood', 'ssh', 'ansible', 'ansible-pipelining', 'mitogen', 'pyinfra'] as const;

/** A tool's name. */
export type ToolId = (typeof TOOL_IDS)[number];

/** What tables call them. */
export const TITLES: Readonly<Record<ToolId, string>> = {
  heartwood: 'Heartwood',
  ssh: 'ssh sh < script',
  ansible: 'ansible-core',
  'ansible-pipelining': 'ansible-core, pipelining',
  mitogen: 'Mitogen for Ansible',
  pyinfra: 'pyinfra',
};

/** Makes the tools ready, installing what is missing. */
export async function tools(ids: readonly ToolId[], python: string | undefined, say: Say): Promise<readonly Tool[]> {
  const ready: Tool[] = [];
  for (const id of ids) ready.push({ id, title: TITLES[id], ...(await toolOf(id, python, say)) });
  return ready;
}

async function toolOf(
  id: ToolId,
  python: string | undefined,
  say: Say,
): Promise<{ readonly version: string; readonly render: Renderer }> {
  switch (id) {
    case 'heartwood': {
      const { stdout } = await $({ nothrow: true })`git describe --always --dirty`;
      return { version: stdout.trim() || 'unknown', render: renderHeartwood };
    }
    case 'ssh': {
      const { stderr } = await $`ssh -V`;
      return { version: stderr.trim().split(' ')[0] ?? '', render: renderShell };
    }
    case 'ansible':
    case 'ansible-pipelining': {
      const { bin, versions } = await environment('ansible', ['ansible-core'], python, say);
      const version = `${versions['ansible-core']}, Python ${versions['python']}`;
      return { version, render: ansibleRenderer({ bin, pipelining: id === 'ansible-pipelining' }) };
    }
    case 'mitogen': {
      const { bin, versions, packages } = await mitogen(python, say);
      const version = `${versions['mitogen']} on ansible-core ${versions['ansible-core']}, Python ${versions['python']}`;
      return { version, render: ansibleRenderer({ bin, pipelining: true, mitogen: strategies(packages) }) };
    }
    case 'pyinfra': {
      const { bin, versions } = await environment('pyinfra', ['pyinfra'], python, say);
      return { version: `${versions['pyinfra']}, Python ${versions['python']}`, render: pyinfraRenderer(bin) };
    }
  }
}

/** A Python environment of one tool. */
interface Environment {
  readonly bin: string;
  /** Where its packages are. */
  readonly packages: string;
  /** Of the packages asked for, and of Python. */
  readonly versions: Readonly<Record<string, string>>;
}

/** The environment called `name`, made where it is not there whole. */
async function environment(
  name: string,
  requirements: readonly string[],
  python: string | undefined,
  say: Say,
): Promise<Environment> {
  const path = place('peers', name);
  const whole = join(path, 'bench.json');
  if (existsSync(whole)) return JSON.parse(readFileSync(whole, 'utf8')) as Environment;
  rmSync(path, { recursive: true, force: true });
  say(`installing ${requirements.join(', ')} into .bench/peers/${name}`);
  await $`${python ?? (await newestPython())} -m venv ${path}`;
  const bin = join(path, 'bin');
  const pip = await $({ nothrow: true })`${join(bin, 'pip')} install -q --disable-pip-version-check ${requirements}`;
  if (pip.exitCode !== 0) {
    const last = pip.stderr.trim().split('\n').slice(-5).join('\n    ');
    throw new UserError({
      what: `${requirements.join(', ')} can't be installed:\n    ${last}`,
      hint: 'leave it out: --peers names those to measure',
    });
  }
  const names = requirements.map((requirement) => requirement.replace(/[<>=].*$/, ''));
  const ask = `import json, platform, sysconfig
from importlib.metadata import version
print(json.dumps({"packages": sysconfig.get_path("purelib"), "versions": {"python": platform.python_version(), **{n: version(n) for n in ${JSON.stringify(names)}}}}))`;
  const { stdout } = await $`${join(bin, 'python')} -c ${ask}`;
  const made: Environment = { bin, ...(JSON.parse(stdout) as Omit<Environment, 'bin'>) };
  writeFileSync(whole, `${JSON.stringify(made, null, 2)}\n`);
  return made;
}

/** The newest Python this machine calls by a name. */
async function newestPython(): Promise<string> {
  for (const name of ['python3.15', 'python3.14', 'python3.13', 'python3.12', 'python3.11', 'python3']) {
    const { exitCode } = await $({ nothrow: true })`${name} -c ${'import venv, ensurepip'}`;
    if (exitCode === 0) return name;
  }
  throw new UserError({
    what: 'the peers need Python with venv',
    hint: 'apt-get install python3-venv; or --python PATH; or --peers ssh, which needs none',
  });
}

/** Mitogen on the newest ansible-core that it works with: the newest of all first, then a minor version less each time. */
async function mitogen(python: string | undefined, say: Say): Promise<Environment> {
  let bound = '';
  for (;;) {
    const made = await environment('mitogen', [`ansible-core${bound}`, 'mitogen'], python, say);
    if (await worksWith(made)) return made;
    const version = made.versions['ansible-core'] ?? '';
    const [major = 0, minor = 0] = version.split('.').map(Number);
    say(`Mitogen ${made.versions['mitogen']} does not work on ansible-core ${version}`);
    rmSync(place('peers', 'mitogen'), { recursive: true, force: true });
    if (major !== 2 || minor <= 10)
      throw new UserError({ what: 'Mitogen works on no ansible-core that this Python allows' });
    bound = `<${major}.${minor}`;
  }
}

/**
 * Does a play run under Mitogen on this machine?
 * @throws UserError when it does not without Mitogen either.
 */
async function worksWith({ bin, packages }: Environment): Promise<boolean> {
  const cwd = folder('peers', 'trial');
  const book = join(cwd, 'trial.yml');
  const tasks = [{ 'ansible.builtin.file': { path: join(cwd, 'made'), state: 'touch' } }];
  writeFileSync(book, JSON.stringify([{ hosts: 'all', gather_facts: false, tasks }]));
  const play = async (settings: Readonly<Record<string, string>>) => {
    const env = { ...localEnvironment, ...ansibleBasics(cwd), ...settings };
    return $({
      nothrow: true,
      env,
      cwd,
    })`${join(bin, 'ansible-playbook')} -i localhost, -c local -e ${`ansible_python_interpreter=${join(bin, 'python')}`} ${book}`;
  };
  const plain = await play({});
  if (plain.exitCode !== 0)
    throw new UserError({ what: `ansible-playbook does not run:\n${`${plain.stdout}${plain.stderr}`.slice(-1000)}` });
  const { exitCode } = await play({
    ANSIBLE_STRATEGY_PLUGINS: strategies(packages),
    ANSIBLE_STRATEGY: 'mitogen_linear',
  });
  return exitCode === 0;
}

function strategies(packages: string): string {
  return join(packages, 'ansible_mitogen/plugins/strategy');
}
