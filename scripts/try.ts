/**
 * npm run try: boots four real hosts on this machine, installs a highly available k3s on them with the playbook that people
 * run on their own machines, and says how to look around.
 */
import { existsSync } from 'node:fs';
import { main } from '../engine/cli/main.ts';
import { ExitCode } from '../engine/errors.ts';
import { Lab } from '../lab/lab.ts';
import { allStates } from '../lab/names.ts';
import { defaultShape } from '../lab/shape.ts';

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
  const { inventory, vip } = await lab();
  const hosts = existsSync(inventory) ? inventory.replace(`${process.cwd()}/`, '') : inventory;

  console.log(`\nnpx tsx ${PLAYBOOK} -i ${hosts}`);
  const { exitCode } = await $({ nothrow: true, stdio: 'inherit' })`node --import tsx ${PLAYBOOK} -i ${hosts}`;
  if (exitCode !== 0) {
    console.log(`\nThe lab stays up for you to look into it: npm run lab -- ssh node-1 --name ${NAME}`);
    return ExitCode.failed;
  }
  console.log(`
The cluster is up; its API answers on https://${vip}:6443. Look around:

  npm run lab -- ssh node-1 --name ${NAME}                          # then: k3s kubectl get nodes,pods -A -o wide
  npx tsx ${PLAYBOOK} -i ${hosts}              # again: nothing changes
  npx tsx scripts/run.ts all -i ${hosts} -b -- uptime
  npx tsx ${PLAYBOOK} -i ${hosts} -e '{"k3s_tls_san": ["k3s.example.org"]}'    # a setting: a restart each, one at a time
                                       # (of files: those of .lab/${NAME}/group_vars; group_vars/ here goes with ./hosts)
  npm run lab -- fault kill node-1 --name ${NAME}                   # pull a plug: the address moves within 22 s
  npm run lab -- ssh node-2 --name ${NAME} -- k3s kubectl get nodes
  npm run lab -- fault start node-1 --name ${NAME}
  npm run lab -- down --name ${NAME}                                # takes it all away

Where k3s could not be downloaded it is the stand-in of lab/k3s: real etcd, API server and containerd, but an emulated node's kubelet is
pretended, and pods whose images are not in the lab (local-path-provisioner) do not start.`);
  return ExitCode.ok;
});
