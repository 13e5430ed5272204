/** The versions of Node that Heartwood promises to run on, as the npm package `node` brings them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { $ } from 'zx';
import { UserError } from '../../engine/errors.ts';
import { REPOSITORY } from '../support/program.ts';

/** The oldest that package.json allows, then the newest of each later line when this was written. */
export const NODE_VERSIONS = ['20.12.2', '22.23.3', '24.21.0'] as const;

/** The path of this version's program, installed below node_modules/.cache where it is missing. */
export async function nodeOf(version: string): Promise<string> {
  const folder = join(REPOSITORY, 'node_modules/.cache/node', version);
  const program = join(folder, 'node_modules/node/bin/node');
  if (existsSync(program)) return program;
  const options = ['--no-save', '--no-package-lock', '--no-fund', '--no-audit', '--prefix', folder];
  const { exitCode, stderr } = await $({ nothrow: true, quiet: true })`npm install ${options} node@${version}`;
  if (exitCode === 0 && existsSync(program)) return program;
  throw new UserError({ what: `Node ${version} could not be installed: ${stderr.trim().split('\n').at(-1)}` });
}
