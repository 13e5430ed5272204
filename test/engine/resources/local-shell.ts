/**
 * Runs scripts in a shell of this machine the way a session runs them: functions first, then the script in a subshell.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Resource } from '../../../engine/resource.ts';
import { definition, type Script, sh } from '../../../engine/script.ts';
import { type Difference, differences, parseState, type State } from '../../../engine/state.ts';

/** What a script left behind. */
export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The shells that Heartwood's scripts are for, as far as this machine has them. */
export const SHELLS: readonly (readonly string[])[] = [
  ['sh'],
  ...(existsSync('/bin/busybox') ? [['/bin/busybox', 'sh']] : []),
];

/** The text of a script with the functions it uses. */
export function withFunctions(script: Script): string {
  const definitions = script.functions.map((fn) => `${definition(fn)}\n`);
  return `LC_ALL=C; export LC_ALL\numask 022\n${definitions.join('')}(\n${script.reveal()}\n) </dev/null\n`;
}

/** Runs a script. */
export function run(
  script: Script,
  shell: readonly string[] = ['sh'],
  env: NodeJS.ProcessEnv = process.env,
): Promise<Outcome> {
  const [command = 'sh', ...args] = shell;
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args, '-s'], { env });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ exitCode: code ?? 128, stdout, stderr }));
    child.stdin.on('error', () => {});
    child.stdin.end(withFunctions(script));
  });
}

/** What a resource's probe finds. @throws Error when it fails or prints anything that is not state. */
export async function probe(resource: Resource, shell?: readonly string[], env?: NodeJS.ProcessEnv): Promise<State> {
  const { exitCode, stdout, stderr } = await run(resource.probe, shell, env);
  if (exitCode !== 0 || stderr !== '')
    throw new Error(`the probe of ${resource.kind} ${resource.id}: ${exitCode} ${stderr}`);
  return parseState(stdout);
}

/** Probe, and where it differs upload, change and probe again, as a run does it. */
export async function apply(
  resource: Resource,
  shell?: readonly string[],
  env?: NodeJS.ProcessEnv,
): Promise<{ before: Difference[]; outcome: Outcome | undefined; after: Difference[] }> {
  const found = await probe(resource, shell, env);
  const before = differences(found, resource.wanted);
  if (before.length === 0) return { before, outcome: undefined, after: before };
  const upload = resource.upload?.(found);
  if (upload) {
    const content = Buffer.concat(await upload.content().toArray()).toString('base64');
    const outcome = await run(sh`printf %s ${content} | base64 -d | { ${upload.script}\n}`, shell, env);
    if (outcome.exitCode !== 0) return { before, outcome, after: before };
  }
  const outcome = await run(resource.change(found), shell, env);
  return { before, outcome, after: differences(await probe(resource, shell, env), resource.wanted) };
}
