import t from 'tap';
import { download } from '../../engine/resources/download.ts';
import { waitFor } from '../../engine/resources/wait.ts';
import { sh } from '../../engine/script.ts';
import { defaultShape } from '../../lab/shape.ts';
import { useLab } from '../support/lab.ts';
import { objects } from './examples/kubernetes.ts';
import { keepsContract, sessionOn } from './keeps-contract.ts';

const version = 'v1.36.2+k3s1';

t.test('Kubernetes objects keep the contract of resources', async (t) => {
  const lab = await useLab(t, { hosts: [{ name: 'node-1', ufw: false }], k3s: defaultShape.k3s });
  const session = await sessionOn(lab, 'node-1');
  t.teardown(() => session.close());
  const sums = await (await fetch(`${lab.mirror}/${version}/sha256sum-amd64.txt`)).text();
  const [, sha256 = ''] = /^([0-9a-f]{64}) .*\bk3s$/m.exec(sums) ?? [];
  const [fetched, , ready] = await session.run([
    {
      id: 'fetch',
      script: download({
        path: '/usr/local/bin/k3s',
        url: `${lab.mirror}/${version}/k3s`,
        sha256,
        mode: '0755',
      }).change({}),
      timeout: 120,
    },
    {
      id: 'start',
      script: sh`printf 'cluster-init: true\n' > /etc/rancher/k3s/config.yaml && systemd-run -q --unit=k3s -p Type=notify -p Delegate=yes -p Restart=always -p KillMode=process --no-block k3s server`,
      timeout: 30,
    },
    {
      id: 'ready',
      script: waitFor({
        what: 'the API and the default service account',
        script: sh`k3s kubectl get --raw /readyz && k3s kubectl -n default get serviceaccount default`,
        deadline: 240,
      }).change({}),
      timeout: 300,
    },
  ]);
  t.equal(fetched?.exitCode, 0, `k3s is fetched ${fetched?.stderr}`);
  t.equal(ready?.exitCode, 0, `and its API is ready ${ready?.stderr}`);
  await keepsContract(t, session, { objects });
});
