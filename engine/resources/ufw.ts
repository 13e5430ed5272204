/**
 * The host's firewall, by ufw. Rules are compared as ufw stores them: as `### tuple ###` lines of user.rules and
 * user6.rules. The shell reads them, because starting ufw (Python) for each rule is slow on a small board, and because
 * `ufw show added` does not show whether a rule is in both files.
 */
import type { Explanation, Resource } from '../resource.ts';
import { type Script, type ShellFunction, sh, shellFunction } from '../script.ts';
import { type OptionsOf, PORT, required, SECONDS, validateOptions } from '../validate-options.ts';
import { armRevert, disarmRevert, probeUnconfirmed } from './dead-man-revert.ts';
import { normalForm, type UfwRule } from './ufw-rule.ts';

export type { UfwRule } from './ufw-rule.ts';

/** Seconds in which a new connection must come through before the host takes a change back. */
const REVERT_AFTER = 90;

/**
 * `hw_ufw_rule FILE TUPLE`: sets `hw_comment` to the comment in hex, `-` without one. Fails when FILE has no such rule.
 */
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

/**
 * `hw_ufw_comment HEX`: prints a rule's comment as `comment=TEXT`, empty for `-`. ufw stores comments in hex; a diff
 * shows text. Starts no process: printf knows bytes in octal. Escapes what a state escapes: a backslash, a line break.
 */
const hwUfwComment: ShellFunction = shellFunction(
  'hw_ufw_comment',
  `
hw_hex=$1; hw_text=
case $hw_hex in
  -) hw_hex= ;;
  *[!0-9A-Fa-f]*) printf 'comment=%s\\n' "$hw_hex"; return ;;
esac
while [ \${#hw_hex} -ge 2 ]; do
  hw_rest=\${hw_hex#??}; hw_pair=\${hw_hex%"$hw_rest"}; hw_hex=$hw_rest
  case $hw_pair in
    5[Cc]) hw_text="$hw_text\\0134\\0134" ;;
    0[Aa]) hw_text="$hw_text\\0134n" ;;
    *) hw_byte=$((0x$hw_pair)); hw_text="$hw_text\\0$((hw_byte / 64))$((hw_byte / 8 % 8))$((hw_byte % 8))" ;;
  esac
done
printf 'comment=%b\\n' "$hw_text"`,
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
  hw_rule=present; hw_ufw_comment "$hw_comment"
fi
if [ -n "$2" ]; then
  if hw_ufw_rule /etc/ufw/user6.rules "$2"; then
    if [ -z "$1" ]; then hw_rule=present; hw_ufw_comment "$hw_comment"
    elif [ $hw_rule = absent ]; then hw_rule=partial
    fi
  elif [ $hw_rule = present ] && hw_ufw_v6; then hw_rule=partial
  fi
fi
echo "rule=$hw_rule"`,
  [hwUfwInstalled, hwUfwRule, hwUfwComment, hwUfwV6],
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
    wanted: { rule: 'present', comment: rule.comment ?? '' },
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
 * The firewall turned on, now and at boot. Refuses while no rule lets TCP connections to `keepPort` in. Before it turns
 * the firewall on, the host arms a revert, which only a connection made afterwards disarms.
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
