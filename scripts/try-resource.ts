/**
 * Tries a resource on this machine, in a temporary folder, without root: `npm run try-resource --
 * test/contract/examples/x.ts`. For each example it probes, changes, and probes again, under every shell there is.
 * docs/writing-a-resource.md shows how to use it.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { main } from '../engine/cli/main.ts';
import { helpText, type OptionTable, parseCommandLine } from '../engine/cli/options.ts';
import { ExitCode, UserError } from '../engine/errors.ts';
import type { Resource } from '../engine/resource.ts';
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

type Examples = (place: Place) => readonly Example[];

async function examplesOf(file: string): Promise<Examples> {
  const module: { readonly default?: unknown } = await import(pathToFileURL(resolve(file)).href);
  if (typeof module.default === 'function') return module.default as Examples;
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

/** What is wrong when an example is tried in an empty folder. */
async function problemsOf({ name, resource, prepare, ...example }: Example, shell: readonly string[]) {
  const prepared = await run(prepare ?? sh`:`, shell);
  if (prepared.exitCode !== 0) return [`prepare failed: ${prepared.stderr}`];
  const found = await probe(resource, shell);
  const missing = Object.keys(resource.wanted).filter((key) => !(key in found));
  show('found', formatState(found));
  const { before, outcome, after } = await apply(resource, shell);
  const differing = before.map(({ key, found, wanted }) => `${key}: ${found ?? 'nothing'} -> ${wanted}`);
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
  for (const { key, found, wanted } of after) wrong.push(`after the change, ${key} is ${found}, wanted ${wanted}`);
  const again = await run(resource.change(await probe(resource, shell)), shell);
  const stable = differences(await probe(resource, shell), resource.wanted).length === 0;
  if (again.exitCode !== 0 || !stable) wrong.push(`a second change is not harmless: ${again.exitCode} ${again.stderr}`);
  if (resource.undo) {
    for (const time of ['undo', 'a second undo']) {
      const undone = await run(resource.undo(found), shell);
      if (undone.exitCode !== 0) wrong.push(`${time} failed: ${undone.exitCode} ${undone.stderr}`);
    }
    const back = differences(await probe(resource, shell), found);
    for (const { key, found, wanted } of back) wrong.push(`after undo, ${key} is ${found}; it was ${wanted}`);
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

async function tryAll(examples: Examples, folder: string, showScripts: boolean): Promise<number> {
  const place = {
    folder: join(folder, 'place'),
    owner: String(process.getuid?.() ?? 0),
    group: String(process.getgid?.() ?? 0),
  };
  let failed = 0;
  for (const example of examples(place)) {
    const { resource } = example;
    if (showScripts) {
      const functions = [...new Set([...resource.probe.functions, ...resource.change({}).functions])];
      console.log(functions.map(definition).join('\n'));
      console.log(`# probe\n${resource.probe.shown}\n# change\n${resource.change({}).shown.trim()}\n`);
    }
    for (const shell of SHELLS) {
      console.log(`${resource.kind}: ${example.name}, under ${shell.join(' ')}`);
      rmSync(place.folder, { recursive: true, force: true });
      mkdirSync(place.folder);
      const thrown = (error: unknown): string[] => [error instanceof Error ? error.message : String(error)];
      const problems = await problemsOf(example, shell).catch(thrown);
      for (const problem of problems) show('WRONG', problem);
      if (problems.length > 0) failed++;
    }
    const said = shellcheck(resource);
    if (said) failed++;
    show('shellcheck', said);
  }
  return failed;
}

await main(async () => {
  const { values, words } = parseCommandLine(process.argv.slice(2), OPTIONS);
  if (values.help) {
    console.log(helpText(USAGE, ABOUT, OPTIONS));
    return ExitCode.ok;
  }
  const [file, ...more] = words;
  if (file === undefined || more.length > 0) {
    throw new UserError({ what: 'one file of examples is needed', expected: USAGE }, ExitCode.usage);
  }
  const folder = mkdtempSync(join(tmpdir(), 'heartwood-try-'));
  try {
    const failed = await tryAll(await examplesOf(file), folder, values.scripts);
    console.log(failed === 0 ? 'All examples do what they say.' : `${failed} failed.`);
    return failed === 0 ? ExitCode.ok : ExitCode.failed;
  } finally {
    rmSync(folder, { recursive: true });
  }
});
