/** A kernel module, or the same feature built in. */
import { InvalidValue } from '../errors.ts';
import type { Resource } from '../resource.ts';
import { type ShellFunction, sh, shellFunction } from '../script.ts';
import { explainPath, hwDrop, hwOwn, hwStage, hwSwap, temporaryBeside } from './atomic-path.ts';

/**
 * What shows that the kernel has the feature of a module: a name in /proc/filesystems, or a path. For modules that are
 * not listed themselves: built in without parameters, or loaded by the host of a container.
 */
const EVIDENCE: Readonly<Record<string, string>> = {
  br_netfilter: '/proc/sys/net/bridge/bridge-nf-call-iptables',
  ip_tables: '/proc/net/ip_tables_names',
  ip_vs: '/proc/net/ip_vs',
  iscsi_tcp: '/sys/class/iscsi_transport/tcp',
  nf_conntrack: '/proc/sys/net/netfilter/nf_conntrack_max',
  nfs: 'nfs',
  overlay: 'overlay',
  tun: '/dev/net/tun',
};

/**
 * `hw_module NAME EVIDENCE`: `loaded=yes|no`, `how=module|built in|feature found`, and `kept=yes|no`: will it be loaded
 * after the next boot?
 */
const hwModule: ShellFunction = shellFunction(
  'hw_module',
  `
hw_how=
hw_release=$(uname -r)
if grep -q "^$1 " /proc/modules 2>/dev/null; then hw_how=module
elif [ -d "/sys/module/$1" ]; then hw_how='built in'
elif sed 's/-/_/g' "/lib/modules/$hw_release/modules.builtin" 2>/dev/null | grep -q "/$1\\.ko"; then hw_how='built in'
else
  case $2 in
    /*) [ ! -e "$2" ] || hw_how='feature found' ;;
    ?*) ! grep -qw "$2" /proc/filesystems || hw_how='feature found' ;;
  esac
fi
if [ -n "$hw_how" ]; then echo loaded=yes; else echo loaded=no; fi
echo "how=$hw_how"
case $hw_how in
  'built in'|'feature found') echo kept=yes ;;
  *) if grep -qx "$1" "/etc/modules-load.d/$1.conf" 2>/dev/null; then echo kept=yes; else echo kept=no; fi ;;
esac`,
);

/**
 * A kernel module that is loaded, now and at every boot. Where the feature is built in, or a container's host has
 * loaded the module, there is nothing to do.
 */
export function kernelModule(name: string): Resource {
  const module = name.replaceAll('-', '_');
  if (!/^\w+$/.test(module))
    throw new InvalidValue({ what: `"${name}" is no kernel module`, expected: 'br_netfilter' });
  const path = `/etc/modules-load.d/${module}.conf`;
  const next = temporaryBeside(path);
  return {
    kind: 'kernel-module',
    id: module,
    probe: sh`${hwModule} ${module} ${EVIDENCE[module] ?? ''}`,
    wanted: { loaded: 'yes', kept: 'yes' },
    change: () => sh`
modprobe -- ${module} || exit
${hwStage} ${path} ${next} || exit
printf '%s\n' ${module} > ${next} && ${hwOwn} 0644 root:root ${next} && ${hwSwap} ${next} ${path} || ${hwDrop} ${next}`,
    noUndo: 'something may be using the module by then',
    explain: ({ exitCode, stderr }) => {
      if (exitCode === 127) {
        return {
          what: `this host has no modprobe, and its kernel shows no sign of ${module}`,
          hint: 'apt install kmod',
        };
      }
      if (/not found in directory|Module \S+ not found|can't change directory/.test(stderr)) {
        return {
          what: `the running kernel has no module ${module}`,
          hint: 'uname -r; a kernel that was upgraded under a running one needs a reboot; Raspberry Pi OS and cloud images: apt install linux-modules-extra',
        };
      }
      if (/Operation not permitted/.test(stderr)) return { what: `no right to load ${module}: is this a container?` };
      return explainPath(path, stderr);
    },
  };
}
