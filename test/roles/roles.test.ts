import t from 'tap';
import { loadRole, roleNames } from '../../roles/load.ts';

t.test('called by name alone, each role takes only the hosts it is for', async (t) => {
  const hosts = await Promise.all(roleNames().map(async (name) => [name, (await loadRole(name)).role.hosts]));
  // Further roles say in their own tests what they are for.
  t.match(Object.fromEntries(hosts), {
    firewall: 'k3s_cluster',
    'k3s-agent': 'agent',
    'k3s-server': 'server',
    'k3s-verify': 'server',
    'k3s-start-stopped': 'server',
    'kube-vip': 'server',
    kubeconfig: 'localhost',
    preflight: 'k3s_cluster',
  });
});
