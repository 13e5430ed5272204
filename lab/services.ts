/** The processes beside a lab's hosts: its mirror. They are found and ended by their control group, like hosts. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../engine/errors.ts';
import { groupOf, makeGroup } from './cgroups.ts';
import { localEnvironment } from './local.ts';
import { mirrorPort } from './mirror.ts';
import { directoryOf, gatewayAddress, type LabState, repository } from './names.ts';

/** The configuration of the lab's mirror. */
export function mirrorConfigFile(lab: string): string {
  return join(directoryOf(lab), 'mirror.json');
}

/** The base URL of a lab's mirror. */
export function mirrorUrl(lab: number): string {
  return `http://${gatewayAddress(lab)}:${mirrorPort}`;
}

/** Starts the lab's mirror and returns when it answers. It goes on when this process ends. */
export async function startMirror(state: LabState): Promise<void> {
  const address = gatewayAddress(state.number);
  const log = join(directoryOf(state.name), 'mirror.log');
  const out = openSync(log, 'a');
  const groups = makeGroup(groupOf(state.number, 'services')).join(' ');
  const enter = `for group in ${groups}; do echo 0 > "$group/cgroup.procs" || exit 1; done; exec "$@"`;
  const server = [
    process.execPath,
    '--import',
    'tsx',
    join(repository, 'lab/mirror-server.ts'),
    address,
    mirrorConfigFile(state.name),
  ];
  spawn('sh', ['-c', enter, 'sh', ...server], {
    detached: true,
    stdio: ['ignore', out, out],
    cwd: repository,
    env: localEnvironment,
  }).unref();
  closeSync(out);
  for (let tries = 0; tries < 600; tries++) {
    const answer = await fetch(mirrorUrl(state.number)).catch(() => undefined);
    if (answer) return;
    await sleep(50);
  }
  throw new UserError({
    what: `the lab's mirror doesn't answer:\n    ${readFileSync(log, 'utf8').trim()}`,
  });
}
