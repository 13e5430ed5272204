/** One command, ad hoc: `npx tsx scripts/run.ts all -i hosts -- uptime`. */
import { runCommand } from '../engine/cli/adhoc.ts';
import { main } from '../engine/cli/main.ts';

await main(() => runCommand(process.argv.slice(2)));
