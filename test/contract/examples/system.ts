/** Commands, waits, units, kernel parameters and modules. */
import { command } from '../../../engine/resources/command.ts';
import { kernelModule } from '../../../engine/resources/kernel-module.ts';
import { sysctl } from '../../../engine/resources/sysctl.ts';
import { daemonReload, unit, unitReloaded, unitRestarted } from '../../../engine/resources/systemd.ts';
import { PERMANENT, waitFor, waitForHttp, waitForPort, waitForUnit } from '../../../engine/resources/wait.ts';
import { sh } from '../../../engine/script.ts';
import { Secret } from '../../../engine/secret.ts';
import { contentOf, type Example, WORK } from '../example.ts';

const password = new Secret('correct-horse-77');
const made = `${WORK}/made`;

export const commands: readonly Example[] = [
  { name: 'one that makes something', resource: command(sh`mkdir ${made}`, { creates: made }) },
  {
    name: 'one that has made it',
    resource: command(sh`mkdir -p ${made}; exit 0`, { creates: made }),
    prepare: sh`mkdir ${made}`,
    holds: true,
  },
  {
    name: 'one that says itself whether it is done',
    resource: command(sh`echo yes > ${made}`, { unless: sh`grep -q yes ${made}` }),
  },
  {
    name: 'one that fails in its last line',
    resource: command(sh`echo the end is near >&2; false`),
    fails: /the end is near/,
  },
  {
    name: 'one that is given a password on its stdin',
    resource: command(sh`printf %s ${password} | sha256sum > ${made}.new && mv ${made}.new ${made}`, { creates: made }),
    secrets: [password],
  },
];

export const waits: readonly Example[] = [
  {
    name: 'something that holds',
    resource: waitFor({ what: 'nothing', script: sh`echo fine`, deadline: 5 }),
    holds: true,
  },
  {
    name: 'something that comes',
    resource: waitFor({ what: 'the file', script: sh`[ -e ${made} ]`, deadline: 20 }),
    prepare: sh`rm -f ${made}; setsid sh -c ${`sleep 1; touch ${made}`} </dev/null >/dev/null 2>&1 &`,
  },
  {
    name: 'something that does not come',
    resource: waitFor({ what: 'the moon', script: sh`echo up; echo high; false`, deadline: 2 }),
    fails: /timed out after 2 s of waiting for the moon; last seen: high/,
  },
  {
    name: 'something that cannot come any more',
    resource: waitFor({ what: 'the moon', script: sh`echo gone; exit ${PERMANENT}`, deadline: 600 }),
    fails: /will never be; last seen: gone/,
  },
  { name: 'the port of sshd', resource: waitForPort({ port: 22, deadline: 10 }), holds: true },
  {
    name: 'a port nobody listens on',
    resource: waitForPort({ port: 9, deadline: 1 }),
    fails: /port 9 of 127.0.0.1; last seen: no connection/,
  },
  { name: 'a unit that is up', resource: waitForUnit('ssh.service', { deadline: 10 }), holds: true },
  {
    name: 'a unit that is not there',
    resource: waitForUnit('nosuch.service', { deadline: 600 }),
    fails: /will never be; last seen: unit is not-found/,
  },
  {
    name: 'a server that is not there',
    resource: waitForHttp({ url: 'http://127.0.0.1:9/', deadline: 1 }),
    fails: /timed out .* http:..127.0.0.1:9. to answer 200/,
  },
];

const name = 'hw-contract.service';
const unitFile = `/etc/systemd/system/${name}`;
const systemState = sh`systemctl is-enabled ${name}; systemctl is-active ${name}`;
const install = (run: string): ReturnType<typeof sh> => sh`
systemctl unmask ${name} 2>/dev/null; systemctl disable --now ${name} 2>/dev/null; systemctl reset-failed ${name} 2>/dev/null
printf '[Service]\nExecStart=%s\n[Install]\nWantedBy=multi-user.target\n' ${run} > ${unitFile} && systemctl daemon-reload`;
const sleeper = install('/bin/sleep 1000');

export const units: readonly Example[] = [
  {
    name: 'enabled and started',
    resource: unit(name, { enabled: true, active: true }),
    prepare: sleeper,
    state: systemState,
  },
  {
    name: 'disabled and stopped',
    resource: unit(name, { enabled: false, active: false }),
    prepare: sh`${sleeper}\nsystemctl -q enable --now ${name}`,
    state: systemState,
  },
  {
    name: 'started, its file changed',
    resource: unit(name, { active: true }),
    prepare: sh`${sleeper}\nsystemctl start ${name}; sleep 0.02; touch ${unitFile}`,
    state: systemState,
  },
  {
    name: 'enabled and running',
    resource: unit(name, { enabled: true, active: true }),
    prepare: sh`${sleeper}\nsystemctl -q enable --now ${name}`,
    whole: systemState,
    holds: true,
  },
  {
    name: 'a failed one is stopped',
    resource: unit(name, { active: false }),
    prepare: sh`${install('/bin/false')}\nsystemctl start ${name}; sleep 0.3`,
    holds: true,
  },
  {
    name: 'one without an [Install] section counts as enabled',
    resource: unit('systemd-journald.service', { enabled: true, active: true }),
    holds: true,
  },
  {
    name: 'one that is missing is stopped',
    resource: unit('nosuch.service', { active: false, enabled: false }),
    holds: true,
  },
  {
    name: 'one that takes long, not waited for',
    resource: unit(name, { active: true, noBlock: true }),
    prepare: sh`${sleeper}\nsed -i 's/^.Service.$/&\\nType=notify\\nTimeoutStartSec=0/' ${unitFile}; systemctl daemon-reload`,
    state: systemState,
  },
  {
    name: 'a missing one',
    resource: unit('nosuch.service', { active: true }),
    fails: /there is no unit nosuch.service/,
  },
  {
    name: 'one that dies at once',
    resource: unit(name, { active: true }),
    prepare: install('/bin/false'),
    fails: /did not start: exit-code, exit code 1/,
  },
  {
    name: 'a masked one',
    resource: unit(name, { active: true }),
    prepare: sh`${sleeper}\nrm ${unitFile}; systemctl -q mask ${name}`,
    fails: /is masked/,
  },
  {
    name: 'one that does not start',
    resource: unit(name, { active: true }),
    prepare: sh`${install('/bin/sh -c "echo no config; exit 3"')}\nsed -i 's/^.Service.$/&\\nType=oneshot/' ${unitFile}; systemctl daemon-reload`,
    fails: /did not start: exit-code, exit code 3/,
  },
  { name: 'restarted', resource: unitRestarted(name), prepare: sleeper },
  { name: 'reloaded, or restarted', resource: unitReloaded(name), prepare: sleeper },
  { name: 'read again', resource: daemonReload(), prepare: sleeper },
];

const conf = '/etc/sysctl.d/zz-heartwood.conf';
const swappiness = sh`cat /proc/sys/net/ipv4/ip_local_port_range; cat ${conf}`;
const reset = sh`echo 32768 60999 > /proc/sys/net/ipv4/ip_local_port_range; rm -f ${conf} /etc/sysctl.d/.zz-heartwood.conf.hw-new`;

export const parameters: readonly Example[] = [
  {
    name: 'a new value',
    resource: sysctl('net.ipv4.ip_forward', 1),
    prepare: sh`rm -f ${conf}; echo 0 > /proc/sys/net/ipv4/ip_forward`,
    whole: contentOf(conf),
  },
  {
    name: 'a pair, beside others',
    resource: sysctl('net.ipv4.ip_local_port_range', '30000\t  60000'),
    prepare: sh`${reset}; printf '# ours\nnet.ipv4.ip_forward=1\nnet.ipv4.ip_local_port_range = 1 2\n\nvm.x = 3' > ${conf}`,
  },
  { name: 'set, but not kept', resource: sysctl('net.ipv4.ip_local_port_range', '32768 60999'), prepare: reset },
  {
    name: 'set and kept',
    resource: sysctl('net.ipv4.ip_local_port_range', '32768 60999'),
    prepare: sh`${reset}; printf 'net.ipv4.ip_local_port_range=32768  60999\n' > ${conf}`,
    holds: true,
    whole: swappiness,
  },
  {
    name: 'one the kernel has not',
    resource: sysctl('net.ipv4.no_such', 1),
    prepare: reset,
    whole: swappiness,
    fails: /no parameter net.ipv4.no_such/,
  },
  {
    name: 'a value that the kernel refuses',
    resource: sysctl('net.ipv4.ip_local_port_range', 'many'),
    prepare: reset,
    whole: swappiness,
    fails: /refuses the value many/,
  },
];

/** None that is loaded: that would change the kernel of this machine, which a lab's hosts share. */
export const modules: readonly Example[] = [
  { name: 'one the kernel has', resource: kernelModule('overlay'), holds: true },
  { name: 'one that is not there', resource: kernelModule('no-such-module'), fails: /no_such_module/ },
];
