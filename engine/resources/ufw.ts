/**
 * The host's firewall, by ufw. Rules are compared as ufw stores them: as `### tuple ###` lines of user.rules and user6.rules. The
 * shell reads them, because starting ufw (Python) for each rule is slow on a small board, and because `ufw show added` does not
 * show whether a rule is in both files.
 */
import { isIP } from 'node:net';
import { InvalidValue } from '../errors.ts';
import type { Explanation, Resource } from '../resource.ts';
import { type Script, type ShellFunction, sh, shellFunction } from '../script.ts';
import {
  BOOLEAN,
  type OptionsOf,
  oneOf,
  PORT,
  required,
  SECONDS,
  TEXT,
  type ValueType,
  validateOptions,
  valueType,
} from '../validate-options.ts';
import { armRevert, disarmRevert, probeUnconfirmed } from './dead-man-revert.ts';

const PORTS: ValueType<number | string> = valueType(
  'a port, a range or a list: 6443, "2379:2380", "80,443"',
  (value) => typeof value === 'number' || typeof value === 'string',
);

const RULE = {
  action: required(oneOf('allow', 'deny', 'reject', 'limit')),
  /** Default: `in`. Route rules have no direction of their own. */
  direction: oneOf('in', 'out'),
  /** Source: an address or a network, IPv4 or IPv6. Default: any. */
  from: TEXT,
  /** Source port, range or list. Default: any. */
  fromPort: PORTS,
  /** Destination: an address or a network. Default: any. */
  to: TEXT,
  /** Destination port, range or list: `6443`, `2379:2380`, `80,443`. Default: any. */
  port: PORTS,
  /** Required with a range or a list. Default: any. */
  proto: oneOf('tcp', 'udp', 'esp', 'ah', 'gre', 'ipv6', 'igmp', 'vrrp'),
  /** For forwarded packets instead of those for the host itself. */
  route: BOOLEAN,
  /** The interface that packets come in by. */
  inIface: TEXT,
  /** The interface that packets go out by. */
  outIface: TEXT,
  /** Shown by ufw beside the rule. Without quotes. */
  comment: TEXT,
};

/** A rule, in ufw's terms. */
export type UfwRule = OptionsOf<typeof RULE>;

/** Seconds in which a new connection must come through before the host takes a change back. */
const REVERT_AFTER = 90;

/** `hw_ufw_rule FILE TUPLE`: sets `hw_comment` to the comment in hex, `-` without one. Fails when FILE has no such rule. */
const hwUfwRule: ShellFunction = shellFunction(
  'hw_ufw_rule',
  `
hw_comment=; [ -f "$1" ] || return
while IFS= read -r hw_line; do
  case $hw_line in
    "### tuple ### $2") hw_comment=- ;;
    "### tuple ### $2 comment="*) hw_comment=\${hw_line##*comment=} ;;
  esac
done < "$1"
[ -n "$hw_comment" ]`,
);

/** `hw_ufw_v6`: succeeds when ufw manages IPv6 too. */
const hwUfwV6: ShellFunction = shellFunction(
  'hw_ufw_v6',
  'grep -q "^IPV6=[\\"\']*[Yy][Ee][Ss]" /etc/default/ufw 2>/dev/null',
);

/** `hw_ufw_installed`: `installed=yes|no`. */
const hwUfwInstalled: ShellFunction = shellFunction(
  'hw_ufw_installed',
  'if command -v ufw >/dev/null; then echo installed=yes; else echo installed=no; fi',
);

/** `hw_ufw_state TUPLE4 TUPLE6`: the state of a rule. A rule for one family has an empty tuple for the other. */
const hwUfwState: ShellFunction = shellFunction(
  'hw_ufw_state',
  `
hw_ufw_installed
hw_rule=absent
if [ -n "$1" ] && hw_ufw_rule /etc/ufw/user.rules "$1"; then
  hw_rule=present; echo "comment=$hw_comment"
fi
if [ -n "$2" ]; then
  if hw_ufw_rule /etc/ufw/user6.rules "$2"; then
    if [ -z "$1" ]; then hw_rule=present; echo "comment=$hw_comment"
    elif [ $hw_rule = absent ]; then hw_rule=partial
    fi
  elif [ $hw_rule = present ] && hw_ufw_v6; then hw_rule=partial
  fi
fi
echo "rule=$hw_rule"`,
  [hwUfwInstalled, hwUfwRule, hwUfwV6],
);

/** The files that hold the rules, in their order. */
const RULE_FILES = ['/etc/ufw/user.rules', '/etc/ufw/user6.rules'];

/** A rule, with this comment. The same rule with another comment or action is replaced, as ufw does it. */
export function ufwRule(rule: UfwRule): Resource {
  const { v4, v6, words } = normalForm(rule);
  const comment = rule.comment === undefined ? [] : ['comment', rule.comment];
  return {
    kind: 'ufw',
    id: [...words, ...comment].join(' '),
    probe: sh`${hwUfwState} ${v4} ${v6}`,
    wanted: { rule: 'present', comment: rule.comment === undefined ? '-' : Buffer.from(rule.comment).toString('hex') },
    change: () => sh`LC_ALL=C ufw ${words} ${comment}`,
    // The probe does not tell a rule's place among the others, nor the action of the rule that this one replaces.
    keeps: RULE_FILES,
    explain: ({ exitCode, stderr, stdout }) => explainUfw(exitCode, `${stderr}${stdout}`),
  };
}

/** No such rule, whatever its comment. */
export function ufwRuleAbsent(rule: UfwRule): Resource {
  const { v4, v6, words } = normalForm(rule);
  const id = `no ${words.join(' ')}`;
  const [first, ...rest] = words;
  const remove = first === 'route' ? ['route', 'delete', ...rest] : ['delete', ...words];
  return {
    kind: 'ufw',
    id,
    probe: sh`${hwUfwState} ${v4} ${v6}\n${probeUnconfirmed(id)}`,
    wanted: { rule: 'absent', unconfirmed: 'no' },
    change: () => armRevert(id, REVERT_AFTER, sh`ufw ${words}`, sh`LC_ALL=C ufw --force ${remove}`),
    confirm: { within: REVERT_AFTER, script: disarmRevert(id) },
    keeps: RULE_FILES,
    explain: ({ exitCode, stderr, stdout }) => explainUfw(exitCode, `${stderr}${stdout}`),
  };
}

/** What ufw's direction is called in /etc/default/ufw. */
const CHAINS = { incoming: 'INPUT', outgoing: 'OUTPUT', routed: 'FORWARD' } as const;
/** What ufw's policy is called there. */
const TARGETS = { allow: 'ACCEPT', deny: 'DROP', reject: 'REJECT' } as const;

/** `hw_ufw_default KEY`: the policy that /etc/default/ufw has under KEY. */
const hwUfwDefault: ShellFunction = shellFunction(
  'hw_ufw_default',
  `
hw_policy=
[ ! -f /etc/default/ufw ] || while IFS= read -r hw_line; do
  case $hw_line in "$1="*) hw_policy=$hw_line ;; esac
done < /etc/default/ufw
case $hw_policy in
  *ACCEPT*) echo policy=allow ;;
  *DROP*) echo policy=deny ;;
  *REJECT*) echo policy=reject ;;
  *) echo policy=unknown ;;
esac`,
);

/** What happens to packets that match no rule. */
export function ufwDefault(direction: keyof typeof CHAINS, policy: keyof typeof TARGETS): Resource {
  const id = `default ${direction}`;
  const key = `DEFAULT_${CHAINS[direction]}_POLICY`;
  const set = (word: string): Script => sh`LC_ALL=C ufw default ${word} ${direction}`;
  return {
    kind: 'ufw',
    id,
    probe: sh`
${hwUfwInstalled}
${hwUfwDefault} ${key}
${probeUnconfirmed(id)}`,
    wanted: { policy, unconfirmed: 'no' },
    change: ({ policy: old }) => {
      const isKnown = old !== undefined && old !== 'unknown' && old !== policy;
      return armRevert(id, REVERT_AFTER, set(isKnown ? old : 'allow'), set(policy));
    },
    undo: ({ policy: old }) =>
      old === undefined || old === 'unknown'
        ? sh`echo ${`heartwood: the old policy for ${direction} packets is not known`} >&2; exit 1`
        : armRevert(id, REVERT_AFTER, set(policy), set(old)),
    confirm: { within: REVERT_AFTER, script: disarmRevert(id) },
    explain: ({ exitCode, stderr, stdout }) => explainUfw(exitCode, `${stderr}${stdout}`),
  };
}

/** `hw_ufw_keeps PORT`: succeeds when the rules let new TCP connections to PORT in. */
const hwUfwKeeps: ShellFunction = shellFunction(
  'hw_ufw_keeps',
  `
[ -f /etc/ufw/user.rules ] || return
while read -r hw_1 hw_2 hw_3 hw_action hw_proto hw_ports hw_rest; do
  case "$hw_1 $hw_2 $hw_3 $hw_action" in '### tuple ### allow'|'### tuple ### allow_'*|'### tuple ### limit'|'### tuple ### limit_'*) ;; *) continue ;; esac
  case $hw_proto in tcp|any) ;; *) continue ;; esac
  case " $hw_rest " in *' out'*) continue ;; esac
  [ "$hw_ports" != any ] || return 0
  hw_ifs=$IFS; IFS=,; set -- "$1" $hw_ports; IFS=$hw_ifs
  hw_port=$1; shift
  for hw_range do
    [ "$hw_port" -lt "\${hw_range%:*}" ] || [ "$hw_port" -gt "\${hw_range#*:}" ] || return 0
  done
  set -- "$hw_port"
done < /etc/ufw/user.rules
return 1`,
);

const ENABLED_OPTIONS = {
  /** The port that this run connects to: `host.port`. */
  keepPort: required(PORT),
  /** Seconds in which a new connection must come through. Default: 90. */
  confirmWithin: SECONDS,
};

/** What {@link ufwEnabled} takes. */
export type UfwEnabledOptions = OptionsOf<typeof ENABLED_OPTIONS>;

/**
 * The firewall turned on, now and at boot. Refuses while no rule lets TCP connections to `keepPort` in. Before it turns the
 * firewall on, the host arms a revert, which only a connection made afterwards disarms.
 */
export function ufwEnabled(options: UfwEnabledOptions): Resource {
  validateOptions('ufwEnabled', options, ENABLED_OPTIONS);
  const { keepPort, confirmWithin = REVERT_AFTER } = options;
  return {
    kind: 'ufw',
    id: 'enabled',
    probe: sh`
hw_keeps=no; if ${hwUfwKeeps} ${keepPort}; then hw_keeps=yes; fi
if command -v ufw >/dev/null; then
  echo installed=yes
  case $(LC_ALL=C ufw status 2>/dev/null) in *'Status: active'*) echo enabled=yes ;; *) echo enabled=no ;; esac
else
  echo installed=no; echo enabled=no
fi
echo "keeps=$hw_keeps"
${probeUnconfirmed('enabled')}`,
    wanted: { enabled: 'yes', unconfirmed: 'no' },
    change: () => sh`
if ! ${hwUfwKeeps} ${keepPort} && ! grep -q '^DEFAULT_INPUT_POLICY="*ACCEPT' /etc/default/ufw; then
  echo 'heartwood: no rule keeps the port' >&2; exit 1
fi
${armRevert('enabled', confirmWithin, sh`ufw --force disable`, sh`LC_ALL=C ufw --force enable`)}`,
    undo: () => armRevert('enabled', confirmWithin, sh`ufw --force enable`, sh`LC_ALL=C ufw --force disable`),
    confirm: { within: confirmWithin, script: disarmRevert('enabled') },
    explain: ({ exitCode, stderr, stdout }) =>
      stderr.includes('no rule keeps the port')
        ? {
            what: `turning the firewall on would close port ${keepPort}, which this run connects to; it stays off`,
            hint: `a rule before this task: ufwRule({ action: 'allow', port: ${keepPort}, proto: 'tcp', comment: 'ssh' })`,
          }
        : explainUfw(exitCode, `${stderr}${stdout}`),
  };
}

/** A rule as ufw stores it for IPv4 and for IPv6 (empty where it has no part there), and as arguments of `ufw`. */
function normalForm(rule: UfwRule): { v4: string; v6: string; words: readonly string[] } {
  validateOptions('ufwRule', rule, RULE);
  const { action, proto, route = false, inIface, outIface } = rule;
  const direction = rule.direction ?? (outIface !== undefined && inIface === undefined && !route ? 'out' : 'in');
  const problem = (what: string, expected: string): InvalidValue =>
    new InvalidValue({ what: `firewall rule: ${what}`, expected });
  const from = network(rule.from);
  const to = network(rule.to);
  const [port, fromPort] = [ports(rule.port), ports(rule.fromPort)];
  if (from.family && to.family && from.family !== to.family)
    throw problem(`${rule.from} and ${rule.to} are of two families`, 'both IPv4 or both IPv6');
  if (proto === undefined && /[,:]/.test(`${port}${fromPort}`))
    throw problem(`port ${rule.port ?? rule.fromPort} needs a protocol`, 'proto: tcp or udp');
  if (rule.comment?.includes("'"))
    throw problem(`the comment ${rule.comment} has a quote in it`, 'a comment without quotes');
  if (!route && inIface !== undefined && outIface !== undefined)
    throw problem('two interfaces are for route rules', 'inIface or outIface');

  const clauses = [
    ...(inIface === undefined ? [] : ['in', 'on', inIface]),
    ...(outIface === undefined ? [] : ['out', 'on', outIface]),
    ...(inIface === undefined && outIface === undefined && !route && direction === 'out' ? ['out'] : []),
    ...['from', from.text],
    ...(fromPort === 'any' ? [] : ['port', fromPort]),
    ...['to', to.text],
    ...(port === 'any' ? [] : ['port', port]),
    ...(proto === undefined ? [] : ['proto', proto]),
  ];
  const ifaces =
    inIface !== undefined && outIface !== undefined
      ? `in_${inIface}!out_${outIface}`
      : inIface !== undefined
        ? `in_${inIface}`
        : outIface !== undefined
          ? `out_${outIface}`
          : direction;
  const tuple = (family: 4 | 6): string => {
    if ((from.family ?? family) !== family || (to.family ?? family) !== family) return '';
    const any = family === 4 ? '0.0.0.0/0' : '::/0';
    const [dst, src] = [to, from].map(({ text }) => (text === 'any' ? any : text));
    return `${route ? 'route:' : ''}${action} ${proto ?? 'any'} ${port} ${dst} ${fromPort} ${src} ${ifaces}`;
  };
  return { v4: tuple(4), v6: tuple(6), words: [...(route ? ['route'] : []), action, ...clauses] };
}

/** A port, range or list the way ufw writes it. */
function ports(given: number | string | undefined): string {
  if (given === undefined) return 'any';
  const text = String(given);
  if (!/^\d+(:\d+)?(,\d+(:\d+)?)*$/.test(text)) {
    throw new InvalidValue({ what: `firewall rule: "${text}" is no port`, expected: '6443, 2379:2380, or 80,443' });
  }
  return text
    .split(',')
    .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
    .join(',');
}

/** An address or network the way ufw writes it: host bits cleared, no /32 or /128, IPv6 in its short form. */
function network(given: string | undefined): { text: string; family?: 4 | 6 } {
  if (given === undefined || given === 'any') return { text: 'any' };
  const [address = '', length] = given.split('/');
  const family = isIP(address);
  const bits = family === 4 ? 32 : 128;
  const prefix = length === undefined ? bits : Number(length);
  if ((family !== 4 && family !== 6) || !/^\d*$/.test(length ?? '') || prefix > bits) {
    throw new InvalidValue({
      what: `firewall rule: "${given}" is no address or network`,
      expected: '10.0.0.5, 10.42.0.0/16, fd00::5, fd00::/8, any',
    });
  }
  if (prefix === 0) return { text: 'any' };
  const masked = (toNumber(address, family) >> BigInt(bits - prefix)) << BigInt(bits - prefix);
  return { text: toAddress(masked, family) + (prefix === bits ? '' : `/${prefix}`), family };
}

function toNumber(address: string, family: 4 | 6): bigint {
  if (family === 4) return address.split('.').reduce((sum, part) => (sum << 8n) + BigInt(part), 0n);
  const short = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = short.split('::');
  const groups = (text: string | undefined): string[] => (text ? text.split(':') : []);
  const zeros = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array<string>(zeros).fill('0'), ...groups(tail)];
  return all.reduce((sum, part) => (sum << 16n) + BigInt(`0x${part}`), 0n);
}

function toAddress(number: bigint, family: 4 | 6): string {
  const [size, count] = family === 4 ? [8n, 4] : [16n, 8];
  const parts = Array.from(
    { length: count },
    (_, i) => (number >> (size * BigInt(count - 1 - i))) & ((1n << size) - 1n),
  );
  if (family === 4) return parts.join('.');
  return new URL(`http://[${parts.map((part) => part.toString(16)).join(':')}]`).hostname.slice(1, -1);
}

/** What ufw's messages mean. */
function explainUfw(exitCode: number, text: string): Explanation | undefined {
  if (exitCode === 127) return { what: 'ufw is not installed', hint: "a task before this one: apt('ufw')" };
  if (/problem running (?:ufw-init|iptables)|iptables.*(?:not found|denied|Failed to initialize nft)/i.test(text)) {
    return {
      what: 'the kernel or iptables refused the rules',
      hint: 'ufw --debug reload; /usr/share/ufw/check-requirements',
    };
  }
  const [, error] = /^ERROR: (.*)$/m.exec(text) ?? [];
  return error ? { what: `ufw refuses: ${error}` } : undefined;
}
