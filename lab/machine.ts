/**
 * What labs change on the machine as a whole, for as long as any lab is up: higher inotify limits (kubelets and
 * containerds of several hosts share the machine's), and the emulator of the other architecture. The last lab that
 * goes down undoes it; what there is to undo is kept in /run, which a reboot of the machine empties with it.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../engine/errors.ts';
import { $, type Say } from './local.ts';
import { cpuOf, emulated } from './prepare.ts';
import type { Architecture, LabShape } from './shape.ts';

/** What was changed, one file for each thing. */
const notes = '/run/heartwood-lab';

/** The inotify limits that several hosts with k3s need: with the defaults the second kubelet fails to watch its files. */
const inotifyLimits = { max_user_instances: 8192, max_user_watches: 524_288 } as const;

const binfmt = '/proc/sys/fs/binfmt_misc';

/** Prepares the machine for a lab of this shape. Call it with the `machine` lock held. */
export async function claimMachine(shape: LabShape, say: Say): Promise<void> {
  mkdirSync(notes, { recursive: true });
  raiseInotify(say);
  for (const arch of emulated(shape)) await registerEmulator(arch, say);
}

/** Undoes {@link claimMachine} when no lab is up any more. Call it with the `machine` lock held. */
export async function releaseMachine(): Promise<void> {
  const { stdout } = await $`ip netns list`;
  if (/^hwlab\d/m.test(stdout) || !existsSync(notes)) return;
  for (const note of readdirSync(notes)) {
    const text = readFileSync(join(notes, note), 'utf8');
    if (note.startsWith('inotify-')) writeFileSync(inotifyFile(note.slice('inotify-'.length)), text);
    if (note.startsWith('emulator-') && existsSync(join(binfmt, text))) writeFileSync(join(binfmt, text), '-1');
  }
  if (existsSync(join(notes, 'mounted-binfmt'))) await $({ nothrow: true })`umount ${binfmt}`;
  for (const note of readdirSync(notes)) rmSync(join(notes, note));
  rmdirSync(notes);
}

function inotifyFile(limit: string): string {
  return `/proc/sys/fs/inotify/${limit}`;
}

function raiseInotify(say: Say): void {
  for (const [limit, wanted] of Object.entries(inotifyLimits)) {
    const current = readFileSync(inotifyFile(limit), 'utf8').trim();
    if (Number(current) >= wanted) continue;
    const note = join(notes, `inotify-${limit}`);
    if (!existsSync(note)) writeFileSync(note, current);
    writeFileSync(inotifyFile(limit), String(wanted));
    say(`raised fs.inotify.${limit} from ${current} to ${wanted} while a lab is up`);
  }
}

/**
 * Has the kernel run programs of `arch` by qemu, also inside hosts, which haven't got qemu: with the flag F the kernel
 * opens the emulator now, not where it is called; with C a set-uid program (sudo) gets its rights, which Debian's own
 * registration doesn't give (kernel documentation: admin-guide/binfmt-misc.rst).
 */
export async function registerEmulator(arch: Architecture, say: Say): Promise<void> {
  const cpu = cpuOf(arch);
  if (!existsSync(join(binfmt, 'register'))) {
    await $`mount -t binfmt_misc binfmt_misc ${binfmt}`;
    writeFileSync(join(notes, 'mounted-binfmt'), '');
  }
  const config = `/usr/lib/binfmt.d/qemu-${cpu}.conf`;
  if (!existsSync(config)) {
    throw new UserError({
      what: `${config} is missing, so ${arch} programs can't be emulated`,
      hint: "install Debian 12's qemu-user-static",
    });
  }
  // The file's line, made ours: `:name:M::magic:mask:interpreter:flags`.
  const [, , type, offset, magicText = '', mask, interpreter, flags] = readFileSync(config, 'utf8').trim().split(':');
  const magic = magicText.replaceAll('\\x', '').toLowerCase();
  const registered = readdirSync(binfmt).some((entry) => {
    if (entry === 'register' || entry === 'status') return false;
    const text = readFileSync(join(binfmt, entry), 'utf8');
    return text.startsWith('enabled') && text.includes(`magic ${magic}\n`) && /^flags: (?=.*F).*C/m.test(text);
  });
  if (registered) return;
  const name = `heartwood-${cpu}`;
  writeFileSync(join(notes, `emulator-${arch}`), name);
  writeFileSync(
    join(binfmt, 'register'),
    [`:${name}`, type, offset, magicText, mask, interpreter, `${flags}C`].join(':'),
  );
  say(`registered ${cpu} emulation with the kernel while a lab is up`);
}
