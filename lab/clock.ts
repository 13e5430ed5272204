/**
 * A shifted clock for a host. Linux has no namespace for the wall clock, so libfaketime is preloaded where people come
 * in: by ssh, by sudo, by exec. Dynamically linked programs read the shifted time; static ones (k3s, busybox), services and
 * what runs already do not.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cpuOf } from './prepare.ts';
import type { Architecture } from './shape.ts';

/** By how much the clock is off; libfaketime reads it. */
const OFFSET = 'etc/faketimerc';
/** Tells sudo to read /etc/environment too. */
const SUDOERS = 'etc/sudoers.d/lab-clock';

/** The environment that shifts the time of a program on a host of this architecture. */
export function preload(arch: Architecture): string {
  return `LD_PRELOAD=/usr/lib/${cpuOf(arch)}-linux-gnu/faketime/libfaketime.so.1`;
}

/** Sets the clock of the host with this root off by `seconds`. */
export function skewClock(root: string, arch: Architecture, seconds: number): void {
  writeFileSync(join(root, OFFSET), `${seconds < 0 ? '' : '+'}${seconds}s\n`);
  // Not in ld.so.preload: sshd's sandbox kills a login that does what libfaketime does at its end.
  writeFileSync(join(root, 'etc/environment'), `${preload(arch)}\n`);
  writeFileSync(join(root, SUDOERS), 'Defaults env_file=/etc/environment\n', { mode: 0o440 });
}

/** Sets the clock right again. */
export function restoreClock(root: string): void {
  if (clockSkew(root) === undefined) return;
  writeFileSync(join(root, 'etc/environment'), '');
  for (const path of [SUDOERS, OFFSET]) rmSync(join(root, path), { force: true });
}

/** By how much the clock is off, as libfaketime writes it (`-7200s`); undefined: it is right. */
export function clockSkew(root: string): string | undefined {
  const file = join(root, OFFSET);
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}
