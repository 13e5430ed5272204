/**
 * Go for building the stand-in: the one in PATH when it is new enough. Otherwise Debian's Go fetches a newer toolchain,
 * which the Go module proxy serves as a module.
 */
import { join } from 'node:path';
import { UserError } from '../engine/errors.ts';
import { $, localEnvironment, type Say } from './local.ts';
import { cacheDirectory } from './names.ts';

/** The oldest Go that builds it (go.mod says the same), and the one that is fetched. */
const OLDEST = [1, 26] as const;
const FETCHED = '1.26.8';

/** The environment for a build: its PATH has a Go that is new enough, installed where it was missing. */
export async function goEnvironment(say: Say): Promise<NodeJS.ProcessEnv> {
  const { PATH } = localEnvironment;
  const path = `${PATH}:/usr/local/go/bin`;
  if (await isNewEnough(path)) return { ...localEnvironment, PATH: path };
  const directory = await fetchToolchain(path, say);
  return { ...localEnvironment, PATH: `${join(directory, 'bin')}:${path}`, GOTOOLCHAIN: 'local' };
}

async function isNewEnough(path: string): Promise<boolean> {
  const { stdout } = await $({ nothrow: true, env: { ...localEnvironment, PATH: path } })`go version`;
  const [, major, minor] = /go(\d+)\.(\d+)/.exec(stdout) ?? [];
  return Number(major) > OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) >= OLDEST[1]);
}

async function fetchToolchain(path: string, say: Say): Promise<string> {
  const env = {
    ...localEnvironment,
    PATH: path,
    GOPATH: join(cacheDirectory(), 'go'),
    DEBIAN_FRONTEND: 'noninteractive',
  };
  if ((await $({ nothrow: true, env })`go version`).exitCode !== 0) {
    say("installing Debian's Go, to fetch a newer one with");
    await $({ nothrow: true, env })`apt-get update -q`;
    await $({ env })`apt-get install -y -q --no-install-recommends golang-go`;
  }
  say(`fetching Go ${FETCHED}`);
  const machine = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const module = `golang.org/toolchain@v0.0.1-go${FETCHED}.linux-${machine}`;
  const fetched = await $({ nothrow: true, cwd: '/', env })`go mod download -json ${module}`;
  const [, directory] = /"Dir": "([^"]+)"/.exec(fetched.stdout) ?? [];
  if (fetched.exitCode !== 0 || directory === undefined) {
    throw new UserError({
      what: `Go ${FETCHED} could not be fetched: ${(fetched.stderr || fetched.stdout).trim().split('\n').at(-1)}`,
      hint: `install Go ${OLDEST.join('.')} or newer and put it into PATH`,
    });
  }
  // Modules hold no executable bits.
  await $`chmod -R u+x ${join(directory, 'bin')} ${join(directory, 'pkg', 'tool')}`;
  return directory;
}
