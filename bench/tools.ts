/**
 * The tools that are measured. Each is installed into a folder of its own below `.bench/tools`, in the newest version
 * that this machine's Python allows. Remove the folder to update them.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../engine/errors.ts';
import { $, localEnvironment, type Say } from '../lab/local.ts';
import type { Renderer } from './job.ts';
import { benchFolder, benchPath } from './paths.ts';
import { ansibleBasics, ansibleRenderer } from './render/ansible.ts';
import { renderHeartwood } from './render/heartwood.ts';
import { pyinfraRenderer } from './render/pyinfra.ts';
import { renderShell } from './render/shell.ts';

/** A tool, ready to be measured. */
export interface Tool {
  readonly id: ToolId;
  /** Its name in tables. */
  readonly title: string;
  readonly version: string;
  readonly render: Renderer;
}

/** The tools, in the order of tables. */
export const TOOL_IDS = ['heartwood', 'ssh', 'ansible', 'ansible-pipelining', 'mitogen', 'pyinfra'] as const;

/** A tool's name. */
export type ToolId = (typeof TOOL_IDS)[number];

/** Their names in tables. */
export const TITLES: Readonly<Record<ToolId, string>> = {
  heartwood: 'Heartwood',
  ssh: 'ssh sh < script',
  ansible: 'ansible-core',
  'ansible-pipelining': 'ansible-core, pipelining',
  mitogen: 'Mitogen for Ansible',
  pyinfra: 'pyinfra',
};

/** Installs the tools that are missing. */
export async function installTools(
  ids: readonly ToolId[],
  python: string | undefined,
  say: Say,
): Promise<readonly Tool[]> {
  const ready: Tool[] = [];
  for (const id of ids) ready.push({ id, title: TITLES[id], ...(await install(id, python, say)) });
  return ready;
}

async function install(
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

/** The environment called `name`, installed where it is missing or incomplete. */
async function environment(
  name: string,
  requirements: readonly string[],
  python: string | undefined,
  say: Say,
): Promise<Environment> {
  const path = benchPath('tools', name);
  const complete = join(path, 'bench.json');
  if (existsSync(complete)) return JSON.parse(readFileSync(complete, 'utf8')) as Environment;
  rmSync(path, { recursive: true, force: true });
  say(`installing ${requirements.join(', ')} into .bench/tools/${name}`);
  await $`${python ?? (await newestPython())} -m venv ${path}`;
  const bin = join(path, 'bin');
  const pip = await $({ nothrow: true })`${join(bin, 'pip')} install -q --disable-pip-version-check ${requirements}`;
  if (pip.exitCode !== 0) {
    const last = pip.stderr.trim().split('\n').slice(-5).join('\n    ');
    throw new UserError({
      what: `${requirements.join(', ')} can't be installed:\n    ${last}`,
      hint: 'leave it out: --tools names those to measure',
    });
  }
  const names = requirements.map((requirement) => requirement.replace(/[<>=].*$/, ''));
  const ask = `import json, platform, sysconfig
from importlib.metadata import version
print(json.dumps({"packages": sysconfig.get_path("purelib"), "versions": {"python": platform.python_version(), **{n: version(n) for n in ${JSON.stringify(names)}}}}))`;
  const { stdout } = await $`${join(bin, 'python')} -c ${ask}`;
  const made: Environment = { bin, ...(JSON.parse(stdout) as Omit<Environment, 'bin'>) };
  writeFileSync(complete, `${JSON.stringify(made, null, 2)}\n`);
  return made;
}

/** The newest Python on the PATH. */
async function newestPython(): Promise<string> {
  for (const name of ['python3.15', 'python3.14', 'python3.13', 'python3.12', 'python3.11', 'python3']) {
    const { exitCode } = await $({ nothrow: true })`${name} -c ${'import venv, ensurepip'}`;
    if (exitCode === 0) return name;
  }
  throw new UserError({
    what: 'the other tools need Python with venv',
    hint: 'apt-get install python3-venv; or --python PATH; or --tools ssh, which needs none',
  });
}

/** Mitogen on the newest ansible-core that it works with: the newest of all, or one minor version less, and so on. */
async function mitogen(python: string | undefined, say: Say): Promise<Environment> {
  let bound = '';
  for (;;) {
    const made = await environment('mitogen', [`ansible-core${bound}`, 'mitogen'], python, say);
    if (await worksWith(made)) return made;
    const version = made.versions['ansible-core'] ?? '';
    const [major = 0, minor = 0] = version.split('.').map(Number);
    say(`Mitogen ${made.versions['mitogen']} does not work on ansible-core ${version}`);
    rmSync(benchPath('tools', 'mitogen'), { recursive: true, force: true });
    if (major !== 2 || minor <= 10)
      throw new UserError({ what: 'Mitogen works on no ansible-core that this Python allows' });
    bound = `<${major}.${minor}`;
  }
}

/**
 * Whether a play runs under Mitogen on this machine.
 * @throws UserError when it does not run without Mitogen either.
 */
async function worksWith({ bin, packages }: Environment): Promise<boolean> {
  const cwd = benchFolder('tools', 'trial');
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
