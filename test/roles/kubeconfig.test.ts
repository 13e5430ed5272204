/** The kubeconfig: what is closed in it, and what is not. */
import t from 'tap';
import { mask, SecretText } from '../../engine/secret.ts';
import { serverKubeconfig } from '../../roles/kubeconfig/stages.ts';

const KUBECONFIG = `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Q0EgZGF0YQ==
    server: https://127.0.0.1:6443
  name: default
kind: Config
users:
- name: default
  user:
    client-certificate-data: Y2VydGlmaWNhdGU=
    client-key-data: a2V5LWtleS1rZXk=
`;

t.test('only the key is a secret: its other lines are words of many files', async (t) => {
  const pieces = serverKubeconfig.parse({ stdout: KUBECONFIG, stderr: '', exitCode: 0 });
  const text = new SecretText(pieces ?? []);
  t.equal(text.reveal(), KUBECONFIG);
  t.equal(`${text}`, KUBECONFIG.replace('a2V5LWtleS1rZXk=', '***'));
  t.equal(mask('kind: ConfigMap, users: [a2V5LWtleS1rZXk=]'), 'kind: ConfigMap, users: [***]');
  t.equal(serverKubeconfig.parse({ stdout: '', stderr: '', exitCode: 0 }), undefined, 'there is none');
});
