/** One role, ad hoc: `npx tsx scripts/role.ts firewall -i hosts --limit server`. Options are a playbook's. */
import { main, reported } from '../engine/cli/main.ts';
import { helpText, PLAYBOOK_OPTIONS, parseCommandLine } from '../engine/cli/options.ts';
import { runPlaybook } from '../engine/cli/playbook.ts';
import { didYouMean, ExitCode, UserError } from '../engine/errors.ts';
import { play } from '../engine/play.ts';
import { loadRole, roleNames } from '../roles/load.ts';

const argv = process.argv.slice(2);

async function runRole(): Promise<ExitCode> {
  const { values, words } = parseCommandLine(argv, PLAYBOOK_OPTIONS);
  const names = roleNames();
  if (values.help) {
    const about = `Runs one role on the hosts it is for, or on those of --limit.\nRoles: ${names.join(', ')}`;
    console.log(helpText('npx tsx scripts/role.ts ROLE -i INVENTORY [options]', about, PLAYBOOK_OPTIONS));
    return ExitCode.ok;
  }
  const [name, ...rest] = words;
  if (name === undefined || rest.length > 0 || !names.includes(name)) {
    const near = didYouMean(name ?? '', names);
    throw new UserError(
      {
        what:
          name === undefined
            ? 'no role named'
            : rest.length > 0
              ? `one role at a time: ${words.join(' ')}`
              : `no role "${name}"`,
        expected: names.join(', '),
        hint: near ? `did you mean "${near}"?` : 'npx tsx scripts/role.ts firewall -i hosts',
      },
      ExitCode.usage,
    );
  }
  const role = await loadRole(name);
  const call = role();
  const title = `Role ${name}`;
  return runPlaybook({ title, plays: [play({ name: title, hosts: call.role.hosts, roles: [call] })] }, values, argv);
}

await main(() => reported(argv, runRole));
