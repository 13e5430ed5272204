/** Packages, from a repository that the host makes for itself. */
import { apt } from '../../../engine/resources/apt.ts';
import { Script, sh } from '../../../engine/script.ts';
import type { Example } from '../example.ts';

const repository = sh`
if [ ! -f /srv/hw-apt/Packages ]; then
  rm -rf /srv/hw-apt && mkdir -p /srv/hw-apt && cd /srv/hw-apt || exit
  package() { # NAME VERSION EXTRA-FIELDS POSTINST
    mkdir -p tree/DEBIAN tree/usr/share/hw && printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: none <none@none>\nDescription: none\n%s' "$1" "$2" "$3" > tree/DEBIAN/control
    head -c 300000 /dev/zero > "tree/usr/share/hw/$1"
    [ -z "$4" ] || { printf '#!/bin/sh\n%s\n' "$4" > tree/DEBIAN/postinst; chmod 755 tree/DEBIAN/postinst; }
    dpkg-deb -b tree "$1-$2.deb" && { dpkg-deb -f "$1-$2.deb"; printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$1-$2.deb" "$(stat -c %s "$1-$2.deb")" "$(sha256sum < "$1-$2.deb" | cut -d' ' -f1)"; } >> Packages.new
    rm -rf tree
  }
  package hw-one 1.0 '' '' && package hw-one 2.0 '' '' && package hw-two 1.0 '' '' && package hw-slow 1.0 '' 'sleep 1' &&
  package hw-failing 1.0 '' 'echo no such luck >&2; exit 1' && package hw-needy 1.0 'Depends: hw-nowhere
' '' && package hw-wishful 1.0 'Recommends: hw-two
' '' && package hw-gone 1.0 '' '' && rm hw-gone-1.0.deb && mv Packages.new Packages || exit
fi
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/hw-apt ./' > /etc/apt/sources.list.d/hw.list
rm -f /var/lib/dpkg/updates/0001
dpkg --configure -a >/dev/null 2>&1
dpkg --purge hw-one hw-two hw-slow hw-failing hw-needy hw-wishful hw-gone >/dev/null 2>&1
[ -e /var/lib/apt/lists/_srv_hw-apt_._Packages ] || apt-get -q update >/dev/null`;

/** Makes the repository, the only one, where nothing is installed from it yet. */
export const freshRepository = sh`{ ${repository}\n} || exit`;

const prepare = (...commands: Script[]): Script => sh`${freshRepository}\n${Script.join(commands)}`;
const install = (...names: string[]): Script =>
  sh`DEBIAN_FRONTEND=noninteractive apt-get -q -y install ${names} >/dev/null`;
const noLists = sh`rm -rf /var/lib/apt/lists/*`;
const state = sh`dpkg-query -W 'hw-*' 2>/dev/null; dpkg --audit`;

export const packages: readonly Example[] = [
  { name: 'a new one', resource: apt('hw-one'), prepare: prepare(), state },
  { name: 'a new one, without package lists', resource: apt('hw-one'), prepare: prepare(noLists), state },
  {
    name: 'several, one of them there',
    resource: apt(['hw-one', 'hw-two']),
    prepare: prepare(install('hw-two')),
    state,
  },
  { name: 'an older version', resource: apt('hw-one', { version: '1.0' }), prepare: prepare(install('hw-one')), state },
  {
    name: 'a newer version',
    resource: apt('hw-one', { version: '2.0' }),
    prepare: prepare(install('hw-one=1.0')),
    state,
  },
  { name: 'not what it recommends', resource: apt('hw-wishful'), prepare: prepare(), state },
  {
    name: 'one that is there',
    resource: apt(['hw-one', 'dpkg']),
    prepare: prepare(install('hw-one')),
    holds: true,
    state,
  },
  {
    name: 'one that is to go',
    resource: apt('hw-one', { state: 'absent' }),
    prepare: prepare(install('hw-one')),
    state,
  },
  {
    name: 'one that was never there',
    resource: apt('hw-one', { state: 'absent' }),
    prepare: prepare(),
    holds: true,
    state,
  },
  {
    name: 'one that was cut while it was installed',
    resource: apt('hw-slow'),
    prepare: prepare(),
    state,
    killAfter: [150, 400, 700, 1000],
  },
  {
    name: 'after dpkg was interrupted',
    resource: apt('hw-one'),
    prepare: prepare(sh`cd /srv/hw-apt; dpkg --unpack hw-two-1.0.deb >/dev/null; : > /var/lib/dpkg/updates/0001`),
    state,
  },
  {
    name: 'while another apt is at work',
    resource: apt('hw-one'),
    prepare: prepare(sh`setsid apt-get -q -y install hw-slow >/dev/null 2>&1 </dev/null & sleep 0.5`),
  },
  {
    name: 'one nobody has',
    resource: apt('hw-unheard-of'),
    prepare: prepare(),
    state,
    fails: /no repository of this host has the package hw-unheard-of/,
  },
  {
    name: 'a version nobody has',
    resource: apt('hw-one', { version: '9' }),
    prepare: prepare(),
    state,
    fails: /Version '9' for 'hw-one' was not found/,
  },
  {
    name: 'one whose dependency is missing',
    resource: apt('hw-needy'),
    prepare: prepare(),
    state,
    fails: /Depends: hw-nowhere/,
  },
  {
    name: 'one the mirror has lost',
    resource: apt('hw-gone'),
    prepare: prepare(),
    state,
    fails: /did not deliver .*hw-gone/,
  },
  {
    name: 'one whose own script fails',
    resource: apt('hw-failing'),
    prepare: prepare(),
    fails: /hw-failing package post-installation script failed/,
  },
];
