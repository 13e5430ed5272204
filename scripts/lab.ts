/**
 * Test hosts on this machine, from the command line: see docs/lab.md. The work is in lab/; it is imported only when a
 * command needs it, so that --help answers at once.
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { didYouMean, ExitCode, UserError } from '../engine/errors.ts';
import type { Lab } from '../lab/lab.ts';

const help = `Usage: npm run lab -- COMMAND [OPTIONS]        (or: npx tsx scripts/lab.ts COMMAND ...)

Boots real Debian 12 hosts on this Linux machine (root needed), for tests and for trying things out.

Commands:
  up                     boot a lab: three AMD64 servers and one ARM64 agent, or what --shape says
  down                   take it away: no process, mount, namespace, control group or file stays
  status                 the labs that are up, their hosts, addresses, power and faults
  ssh HOST [-- CMD...]   log in as root, by ssh
  exec HOST -- CMD...    run a command as root, not by ssh: works whatever the host's network is like
  fault KIND ...         break something, or mend it:
    cut HOST                           take the network cable out
    drop PORT/PROTO --to HOST [--from HOST|machine]
                                       drop packets to a port, from one host or from everyone
    kill HOST                          pull the plug
    start HOST                         turn it on (again)
    reboot HOST                        reboot in order
    freeze HOST, thaw HOST             stop every process where it stands, let them go on
    fill-disk HOST                     leave no free block
    skew-clock HOST SECONDS            set the clock off (write -- before a negative number)
    restore [HOST]                     end every fault of a host, or of all

Options:
  --name NAME    which lab; several can be up at once (otherwise "default"; to look into one, the only one will do)
  --shape FILE   up: the hosts to boot, in YAML (see lab/shapes/)
  --no-k3s       up: serve no k3s from the lab's mirror (where it can't be downloaded, building it takes minutes)
  --all          down: every lab below .lab (or HEARTWOOD_LAB_DIR)
  -h, --help     this text

Environment:
  HEARTWOOD_LAB_DIR   where labs and their cache are kept; .lab in the repository otherwise
  K3S_BIN             a k3s binary for the mirror to serve, instead of a downloaded or built one
`;

const options = {
  name: { type: 'string' },
  shape: { type: 'string' },
  'no-k3s': { type: 'boolean' },
  all: { type: 'boolean' },
  to: { type: 'string' },
  from: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

type Options = { [Name in keyof typeof options]?: (typeof options)[Name]['type'] extends 'string' ? string : boolean };

/** The words and options of a command line, and what follows `--`. */
interface CommandLine {
  readonly words: readonly string[];
  readonly options: Options;
  readonly rest: readonly string[];
}

const say = (line: string) => console.error(line);

/** Something wrong with the command line itself. */
function usage(what: string, more: { expected?: string; hint?: string } = {}): UserError {
  return new UserError({ what, hint: 'npm run lab -- --help', ...more }, ExitCode.usage);
}

function unknown(kind: string, word: string, allowed: readonly string[]): UserError {
  const near = didYouMean(word, allowed);
  return usage(`unknown ${kind} "${word}"`, {
    expected: allowed.join(', '),
    ...(near ? { hint: `did you mean "${near}"?` } : {}),
  });
}

function parse(argv: readonly string[]): CommandLine {
  const split = argv.indexOf('--');
  const own = split < 0 ? [...argv] : argv.slice(0, split);
  for (const word of own) {
    const [flag = ''] = word.split('=');
    const known = [...Object.keys(options).map((name) => `--${name}`), '-h'];
    if (flag.startsWith('-') && !known.includes(flag)) throw unknown('option', flag, known);
  }
  try {
    const { values, positionals } = parseArgs({ args: own, options, allowPositionals: true });
    return { words: positionals, options: values, rest: split < 0 ? [] : argv.slice(split + 1) };
  } catch (error) {
    throw usage(error instanceof Error ? (error.message.split('. ')[0] ?? '') : String(error));
  }
}

/** What a lab is called that was given no name. */
const DEFAULT = 'default';

/**
 * The lab that is named, else the default one. For commands that take something away: the only lab that is up may
 * belong to a running test.
 */
async function openNamed(line: CommandLine): Promise<Lab> {
  const { Lab } = await import('../lab/lab.ts');
  return Lab.open(line.options.name ?? DEFAULT);
}

/** The lab that is named, else the default one, else the only one. */
async function openLab(line: CommandLine): Promise<Lab> {
  const [{ Lab }, { allStates }] = await Promise.all([import('../lab/lab.ts'), import('../lab/names.ts')]);
  const names = allStates().map(({ name }) => name);
  const [only] = names.length === 1 ? names : [];
  return Lab.open(line.options.name ?? (names.includes(DEFAULT) ? DEFAULT : (only ?? DEFAULT)));
}

/** The word at `index` after the command; `what` says what it is, for the error when it isn't there. */
function word(line: CommandLine, index: number, what: string): string {
  const found = line.words[index] ?? line.rest[index - line.words.length];
  if (found === undefined) throw usage(`${line.words.join(' ')}: say ${what}`);
  return found;
}

async function up(line: CommandLine): Promise<number> {
  const [{ Lab }, { readShape }, { defaultShape }] = await Promise.all([
    import('../lab/lab.ts'),
    import('../lab/shape-file.ts'),
    import('../lab/shape.ts'),
  ]);
  const shape = line.options.shape ? readShape(line.options.shape) : defaultShape;
  const started = performance.now();
  const k3s = shape.k3s && !line.options['no-k3s'];
  const lab = await Lab.up({ ...shape, k3s, ...(line.options.name ? { name: line.options.name } : {}) }, say);
  say(`up in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  await show(lab);
  console.log(`inventory: ${lab.inventory}`);
  return ExitCode.ok;
}

async function down(line: CommandLine): Promise<number> {
  if (!line.options.all) {
    await (await openNamed(line)).down();
    return ExitCode.ok;
  }
  const [{ Lab }, { allStates }] = await Promise.all([import('../lab/lab.ts'), import('../lab/names.ts')]);
  for (const { name } of allStates()) await Lab.open(name).down();
  return ExitCode.ok;
}

/** Prints a line per host: name, address, architecture, groups, power and faults. */
async function show(lab: Lab): Promise<void> {
  console.log(`lab ${lab.name}`);
  const width = Math.max(...lab.hosts.map((host) => host.name.length));
  for (const host of lab.hosts) {
    const { arch, groups } = host.shape;
    const state = [host.power, ...(await host.faults())].join(', ');
    console.log(`  ${host.name.padEnd(width)}  ${host.address}  ${arch}  ${groups.join(',')}  ${state}`);
  }
}

async function status(line: CommandLine): Promise<number> {
  const [{ Lab }, { allStates }] = await Promise.all([import('../lab/lab.ts'), import('../lab/names.ts')]);
  const labs = line.options.name ? [Lab.open(line.options.name)] : allStates().map(({ name }) => Lab.open(name));
  if (labs.length === 0) console.log('no lab is up');
  for (const lab of labs) await show(lab);
  return ExitCode.ok;
}

async function ssh(line: CommandLine): Promise<number> {
  const lab = await openLab(line);
  const host = lab.host(word(line, 1, 'which host'));
  const { status: code } = spawnSync('ssh', ['-F', lab.files.sshConfig, host.name, ...line.rest], { stdio: 'inherit' });
  return code ?? ExitCode.failed;
}

async function exec(line: CommandLine): Promise<number> {
  const host = (await openLab(line)).host(word(line, 1, 'which host'));
  if (line.rest.length === 0) throw usage('exec: say what to run, after --');
  const { code, stdout, stderr } = await host.exec(line.rest.join(' '));
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  return code;
}

const faults: Readonly<Record<string, (lab: Lab, line: CommandLine) => Promise<void>>> = {
  cut: (lab, line) => lab.host(word(line, 2, 'which host')).cut(),
  drop: async (lab, line) => {
    const text = word(line, 2, 'which port, as in 2380/tcp');
    const [, port = '', proto = 'tcp'] = /^(\d{1,5})(?:\/(tcp|udp))?$/.exec(text) ?? [];
    if (!port || Number(port) > 65_535)
      throw usage(`fault drop: "${text}" is no port`, { expected: '2380/tcp, 8472/udp, ...' });
    if (!line.options.to) throw usage('fault drop: say to which host, with --to');
    await lab
      .host(line.options.to)
      .drop({ port: Number(port), proto: proto === 'udp' ? 'udp' : 'tcp', from: line.options.from });
  },
  kill: (lab, line) => lab.host(word(line, 2, 'which host')).kill(),
  start: (lab, line) => lab.host(word(line, 2, 'which host')).start(),
  reboot: (lab, line) => lab.host(word(line, 2, 'which host')).reboot(),
  freeze: async (lab, line) => lab.host(word(line, 2, 'which host')).freeze(),
  thaw: async (lab, line) => lab.host(word(line, 2, 'which host')).thaw(),
  'fill-disk': async (lab, line) => lab.host(word(line, 2, 'which host')).fillDisk(),
  'skew-clock': async (lab, line) => {
    const seconds = Number(word(line, 3, 'by how many seconds'));
    if (!Number.isInteger(seconds)) throw usage('fault skew-clock: the seconds are a whole number');
    lab.host(word(line, 2, 'which host')).skewClock(seconds);
  },
  restore: async (lab, line) => {
    for (const host of line.words[2] ? [lab.host(line.words[2])] : lab.hosts) await host.restore();
  },
};

async function fault(line: CommandLine): Promise<number> {
  const kind = word(line, 1, `which: ${Object.keys(faults).join(', ')}`);
  const work = faults[kind];
  if (!work) throw unknown('fault', kind, Object.keys(faults));
  await work(await openNamed(line), line);
  return ExitCode.ok;
}

const commands: Readonly<Record<string, (line: CommandLine) => Promise<number>>> = {
  up,
  down,
  status,
  ssh,
  exec,
  fault,
};

async function main(argv: readonly string[]): Promise<number> {
  const line = parse(argv);
  const [command] = line.words;
  if (line.options.help || command === undefined) {
    console.log(help);
    return line.options.help ? ExitCode.ok : ExitCode.usage;
  }
  const work = commands[command];
  if (!work) throw unknown('command', command, Object.keys(commands));
  return work(line);
}

// A reader such as `head` may have enough before everything is said.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? ExitCode.ok : ExitCode.bug),
);

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(error.message);
  process.exitCode = error.exitCode;
}
