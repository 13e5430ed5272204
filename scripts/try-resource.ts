/**
 * Tries a resource on this machine, in a temporary folder, without root: `npm run try-resource --
 * test/contract/examples/x.ts`. For each example it probes, changes, and probes again, under every shell there is.
 * docs/writing-a-resource.md shows how to use it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { main } from '../engine/cli/main.ts';
import { helpText, type OptionTable, parseCommandLine } from '../engine/cli/options.ts';
import { ExitCode, UserError } from '../engine/errors.ts';
import type { Resource } from '../engine/resource.ts';
import { codeProblems } from '../engine/role-problems.ts';
import { definition, sh } from '../engine/script.ts';
import { differences, formatState } from '../engine/state.ts';
import type { Example, Place } from '../test/contract/example.ts';
import { apply, probe, run, SHELLS } from '../test/engine/resources/local-shell.ts';

const OPTIONS = {
  scripts: { kind: 'flag', help: 'show the scripts that run' },
  help: { kind: 'flag', short: 'h', help: 'show this' },
} as const satisfies OptionTable;

const USAGE = 'npm run try-resource -- FILE [--scripts]';
const ABOUT = `Tries the examples of a resource on this machine, without root. FILE has a default export: a function of a place
({ folder, owner, group }) that returns examples which touch nothing outside its folder.`;

const EXIT_CODES =
  '0 all examples do what they say, 1 FILE does not load, 2 an example fails, 5 the command line is wrong, 250 a bug in Heartwood.';

type Examples = (place: Place) => readonly Example[];

/** The examples of a file, for a place. @throws UserError where the file, or the resource it imports, is wrong. */
async function examplesOf(file: string, place: Place): Promise<readonly Example[]> {
  if (!existsSync(file)) throw new UserError({ what: `${file} does not exist` });
  let module: { readonly default?: unknown };
  try {
    module = await import(pathToFileURL(resolve(file)).href);
    if (typeof module.default === 'function') return (module.default as Examples)(place);
  } catch (error) {
    throw new UserError(codeProblems(error, file, 'this is a mistake in the examples or in the resource'));
  }
  throw new UserError({
    what: `${file} has no default export that is a function`,
    expected: 'export default ({ folder, ...owner }: Place): readonly Example[] => [...]',
    hint: 'docs/writing-a-resource.md has one',
  });
}

/** Prints a text with a title, indented. */
function show(title: string, text: string): void {
  if (text !== '') console.log(`${title}: ${text.trimEnd()}`.replaceAll(/^/gm, '    '));
}

/** A value of a state as text, where there may be none. */
const shown = (value: string | undefined): string =>
  value === undefined ? '(not printed)' : value === '' ? '(empty)' : value;

/** What is wrong when an example is tried in an empty folder. */
async function problemsOf({ name, resource, prepare, ...example }: Example, shell: readonly string[]) {
  const prepared = await run(prepare ?? sh`:`, shell);
  if (prepared.exitCode !== 0) return [`prepare failed: ${prepared.stderr}`];
  const found = await probe(resource, shell);
  const missing = Object.keys(resource.wanted).filter((key) => !(key in found));
  show('found', formatState(found));
  const { before, outcome, after } = await apply(resource, shell);
  const differing = before.map(({ key, found, wanted }) => `${key}: ${shown(found)} -> ${shown(wanted)}`);
  show('to change', differing.join('\n') || 'nothing');
  const unprinted = missing.length > 0 && example.fails === undefined && after.length > 0;
  const wrong = unprinted ? [`the probe does not print ${missing.join(', ')}`] : [];
  if (example.holds) return outcome ? [...wrong, 'it holds from the start, and something was to be changed'] : wrong;
  if (!outcome) return [...wrong, 'the probe found nothing to change'];
  if (example.fails) {
    const { what, hint } = resource.explain?.(outcome) ?? { what: `nothing; stderr: ${outcome.stderr}` };
    show('explained', `${what}${hint ? `\n  try: ${hint}` : ''}`);
    if (outcome.exitCode === 0) return [...wrong, 'the change was to fail'];
    return example.fails.test(`${what} (${hint ?? ''})`)
      ? wrong
      : [...wrong, `"${what}" does not match ${example.fails}`];
  }
  if (outcome.exitCode !== 0) return [...wrong, `the change failed: ${outcome.exitCode} ${outcome.stderr}`];
  for (const { key, found, wanted } of after)
    wrong.push(`after the change, ${key} is ${shown(found)}, wanted ${shown(wanted)}`);
  const again = await run(resource.change(await probe(resource, shell)), shell);
  const stable = differences(await probe(resource, shell), resource.wanted).length === 0;
  if (again.exitCode !== 0 || !stable) wrong.push(`a second change is not harmless: ${again.exitCode} ${again.stderr}`);
  if (resource.undo) {
    for (const time of ['undo', 'a second undo']) {
      const undone = await run(resource.undo(found), shell);
      if (undone.exitCode !== 0) wrong.push(`${time} failed: ${undone.exitCode} ${undone.stderr}`);
    }
    const back = differences(await probe(resource, shell), found);
    for (const { key, found, wanted } of back)
      wrong.push(`after undo, ${key} is ${shown(found)}; it was ${shown(wanted)}`);
  }
  return wrong;
}

/** What shellcheck says of a resource's scripts, where this machine has it. */
function shellcheck({ probe, change }: Resource): string {
  const text = [probe, change({})].map((script) => [...script.functions.map(definition), script.reveal()].join('\n'));
  const variables = "hw_probed='' hw_paths='' hw_units='' hw_dpkg='' hw_dpkg_of=''";
  const args = ['--shell=sh', '--format=gcc', '--severity=warning', '--exclude=1007,2015,2034,2154', '-'];
  const { stdout, error } = spawnSync('shellcheck', args, {
    input: `${variables}\n${text.join('\n')}\n`,
    encoding: 'utf8',
  });
  return error ? '' : stdout;
}

function printScripts({ probe, change }: Resource): void {
  const scripts = [probe, change({})];
  console.log([...new Set(scripts.flatMap(({ functions }) => functions))].map(definition).join('\n'));
  console.log(scripts.map(({ shown }, i) => `# ${i === 0 ? 'probe' : 'change'}\n${shown.trim()}`).join('\n'));
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function tryAll(examples: readonly Example[], folder: string, showScripts: boolean): Promise<number> {
  let failed = 0;
  for (const example of examples) {
    const { resource } = example;
    for (const shell of SHELLS) {
      console.log(`${resource.kind}: ${example.name}, under ${shell.join(' ')}`);
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder);
      const problems = await problemsOf(example, shell).catch((error) => [messageOf(error)]);
      for (const problem of problems) show('WRONG', problem);
      if (problems.length > 0) failed++;
    }
    try {
      if (showScripts) printScripts(resource);
      const said = shellcheck(resource);
      if (said) failed++;
      show('shellcheck', said);
    } catch (error) {
      show('WRONG', `without anything found, change throws: ${messageOf(error)}`);
      failed++;
    }
  }
  return failed;
}

await main(async () => {
  const { values, words } = parseCommandLine(process.argv.slice(2), OPTIONS);
  if (values.help) {
    console.log(helpText(USAGE, ABOUT, OPTIONS, EXIT_CODES));
    return ExitCode.ok;
  }
  const [file, ...more] = words;
  if (file === undefined || more.length > 0) {
    throw new UserError({ what: 'one file of examples is needed', expected: USAGE }, ExitCode.usage);
  }
  const folder = mkdtempSync(join(tmpdir(), 'heartwood-try-'));
  try {
    const place = {
      folder: join(folder, 'place'),
      owner: String(process.getuid?.() ?? 0),
      group: String(process.getgid?.() ?? 0),
    };
    const failed = await tryAll(await examplesOf(file, place), place.folder, values.scripts);
    console.log(failed === 0 ? 'All examples do what they say.' : `${failed} failed.`);
    return failed === 0 ? ExitCode.ok : ExitCode.failed;
  } finally {
    rmSync(folder, { recursive: true });
  }
});
