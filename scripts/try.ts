/**
 * npm run try: boots four real hosts on this machine, installs a highly available k3s on them with the playbook that
 * people run on their own machines, and says how to look around.
 */
import { existsSync } from 'node:fs';
import { main } from '../engine/cli/main.ts';
import { ExitCode } from '../engine/errors.ts';
import { Lab } from '../lab/lab.ts';
import { allStates } from '../lab/names.ts';
import { defaultShape } from '../lab/shape.ts';
import { nextSteps } from './try-next-steps.ts';

const NAME = 'try';
const PLAYBOOK = 'playbooks/install-k3s.ts';

/** The lab of an earlier try, or a new one. */
async function lab(): Promise<Lab> {
  if (allStates().some(({ name }) => name === NAME)) {
    console.log(`The lab "${NAME}" is up already; going on with it.`);
    return Lab.open(NAME);
  }
  console.log(
    'Booting four hosts on this machine: three servers and an ARM64 agent. The first time takes some minutes.',
  );
  return Lab.up({ ...defaultShape, name: NAME }, (step) => console.log(`  ${step}`));
}

await main(async () => {
  const { $ } = await import('zx');
  const { inventory, vip, k3sSource } = await lab();
  const hosts = existsSync(inventory) ? inventory.replace(`${process.cwd()}/`, '') : inventory;

  console.log(`\nnpx tsx ${PLAYBOOK} -i ${hosts}`);
  const { exitCode } = await $({ nothrow: true, stdio: 'inherit' })`node --import tsx ${PLAYBOOK} -i ${hosts}`;
  if (exitCode !== 0) {
    console.log(`\nThe lab stays up for you to look into it: npm run lab -- ssh node-1 --name ${NAME}`);
    return ExitCode.failed;
  }
  console.log(nextSteps({ lab: NAME, playbook: PLAYBOOK, inventory: hosts, vip, k3sSource }));
  return ExitCode.ok;
});
