/** The firewall, with Debian's real ufw. */
import { type UfwRule, ufwDefault, ufwEnabled, ufwRule, ufwRuleAbsent } from '../../../engine/resources/ufw.ts';
import { type Script, sh } from '../../../engine/script.ts';
import type { Example } from '../example.ts';

/** As Debian installs it: no rules, not enabled, nothing left over from another try. */
const clean = sh`
for unit in /run/heartwood/revert-*; do [ ! -e "$unit" ] || { systemctl stop "heartwood-$\{unit##*/}.service"; rm "$unit"; }; done 2>/dev/null
if [ ! -d /run/hw-ufw ]; then mkdir /run/hw-ufw && cp -p /etc/ufw/user.rules /etc/ufw/user6.rules /etc/default/ufw /run/hw-ufw/; fi
! grep -q ENABLED=yes /etc/ufw/ufw.conf || ufw --force disable
cp -p /run/hw-ufw/user*.rules /etc/ufw/; cp -p /run/hw-ufw/ufw /etc/default/ufw`;

const state = sh`ufw show added; grep -h tuple /etc/ufw/user.rules /etc/ufw/user6.rules; grep _POLICY /etc/default/ufw; ufw status | head -n 1; ls /run/heartwood/ | grep revert`;

const prepare = (...commands: Script[]): Script =>
  sh`{ ${clean}\n} >/dev/null || exit\n${commands.reduce((all, next) => sh`${all}\n${next} >/dev/null || exit`, sh``)}`;

const ssh: UfwRule = { action: 'allow', port: 22, proto: 'tcp', comment: 'ssh' };
const etcd: UfwRule = { action: 'allow', from: '10.0.0.1/32', to: '10.0.0.2', port: '2379:2380', proto: 'tcp' };

export const rules: readonly Example[] = [
  {
    name: 'a port, with a comment',
    resource: ufwRule(ssh),
    prepare: prepare(),
    state,
    killAfter: [100, 200, 300, 450],
  },
  { name: 'a range from one host to another', resource: ufwRule(etcd), prepare: prepare(), state },
  {
    name: 'another comment',
    resource: ufwRule({ ...ssh, comment: 'the way in' }),
    prepare: prepare(sh`ufw allow 22/tcp comment ssh`),
    state,
  },
  {
    name: 'another action',
    resource: ufwRule({ ...ssh, action: 'limit' }),
    prepare: prepare(sh`ufw allow 22/tcp`),
    state,
  },
  {
    name: 'one whose IPv6 twin is lost',
    resource: ufwRule(ssh),
    prepare: prepare(sh`ufw allow 22/tcp comment ssh`, sh`cp /run/hw-ufw/user6.rules /etc/ufw/`),
    state,
  },
  ...(
    [
      [ssh, sh`ufw allow 22/tcp comment ssh`],
      [etcd, sh`ufw allow proto tcp from 10.0.0.1 to 10.0.0.2 port 2379:2380`],
      [{ action: 'allow', port: '443,80', proto: 'tcp' }, sh`ufw allow 80,443/tcp`],
      [{ action: 'allow', inIface: 'eth0' }, sh`ufw allow in on eth0`],
      [{ action: 'deny', outIface: 'eth0', port: 53 }, sh`ufw deny out on eth0 to any port 53`],
      [{ action: 'allow', direction: 'out', port: 123, proto: 'udp' }, sh`ufw allow out 123/udp`],
      [
        { action: 'allow', from: 'FD00:0::05', port: 6443, proto: 'tcp' },
        sh`ufw allow from fd00::5 to any port 6443 proto tcp`,
      ],
      [{ action: 'allow', from: '10.42.7.7/16' }, sh`ufw allow from 10.42.0.0/16`],
      [{ action: 'allow', route: true, from: '10.42.0.0/16' }, sh`ufw route allow from 10.42.0.0/16`],
      [{ action: 'allow', route: true, to: '10.42.0.0/16' }, sh`ufw route allow to 10.42.0.0/16`],
      [{ action: 'allow', route: true, inIface: 'cni0', outIface: 'eth0' }, sh`ufw route allow in on cni0 out on eth0`],
      [{ action: 'allow', route: true, outIface: 'cni0' }, sh`ufw route allow out on cni0`],
      [
        { action: 'reject', from: '192.168.1.1', fromPort: 53, proto: 'udp' },
        sh`ufw reject from 192.168.1.1 port 53 proto udp`,
      ],
      [{ action: 'allow', proto: 'vrrp' }, sh`ufw allow to any proto vrrp`],
    ] as const
  ).map(
    ([rule, added]): Example => ({
      name: `known as made by: ${added.shown}`,
      resource: ufwRule(rule),
      prepare: prepare(added),
      holds: true,
      state,
    }),
  ),
  {
    name: 'one that is gone',
    resource: ufwRuleAbsent(etcd),
    prepare: prepare(
      sh`ufw allow 22/tcp`,
      sh`ufw allow proto tcp from 10.0.0.1 to 10.0.0.2 port 2379:2380 comment etcd`,
    ),
    state,
  },
  {
    name: 'one that was never there',
    resource: ufwRuleAbsent(etcd),
    prepare: prepare(sh`ufw allow 22/tcp`),
    holds: true,
    state,
  },
  {
    name: 'a route rule that is gone',
    resource: ufwRuleAbsent({ action: 'allow', route: true, from: '10.42.0.0/16' }),
    prepare: prepare(sh`ufw route allow from 10.42.0.0/16`),
    state,
  },
];

export const firewall: readonly Example[] = [
  { name: 'a default', resource: ufwDefault('routed', 'allow'), prepare: prepare(), state },
  { name: 'the default it has', resource: ufwDefault('incoming', 'deny'), prepare: prepare(), holds: true, state },
  {
    name: 'turned on, keeping the way in',
    resource: ufwEnabled({ keepPort: 22 }),
    prepare: prepare(sh`ufw allow 20:25,80/tcp`),
    state,
    killAfter: [150, 400],
  },
  {
    name: 'on already',
    resource: ufwEnabled({ keepPort: 22 }),
    prepare: prepare(sh`ufw limit 22/tcp`, sh`ufw --force enable`),
    holds: true,
    state,
  },
  {
    name: 'not turned on where that would lock us out',
    resource: ufwEnabled({ keepPort: 2222 }),
    prepare: prepare(sh`ufw allow 22/tcp`, sh`ufw allow 2222/udp`, sh`ufw deny 2222/tcp`, sh`ufw allow out 2222/tcp`),
    state,
    fails: /would close port 2222.*it stays off/,
  },
];
