/** The firewalls of a host: ufw's own rules, and other programs that may filter. */
import { type Fact, fact, sh } from '../../engine/index.ts';
import type { UfwRule } from '../../engine/resources/ufw.ts';

/** A rule that ufw has. */
export interface UfwRuleFound {
  /** {@link ruleKey} of it: two rules with the same key replace each other. */
  readonly key: string;
  /** As it can be removed; undefined for forms this role never makes (application profiles, interfaces, logging). */
  readonly rule: UfwRule | undefined;
  readonly comment: string;
}

/** What {@link firewallFound} finds. */
export interface FirewallFound {
  readonly installed: boolean;
  /** Turned on, by /etc/ufw/ufw.conf. */
  readonly enabled: boolean;
  /** Does ufw filter IPv6 too? */
  readonly ipv6: boolean;
  /** Policy for forwarded packets, `deny` as Debian ships it. */
  readonly routed: 'allow' | 'deny' | 'reject' | undefined;
  readonly rules: readonly UfwRuleFound[];
  /** Units of other firewalls that are enabled or running: `firewalld.service`. */
  readonly others: readonly string[];
}

/** Units that fill the kernel's filter tables on their own, and flush what others put there. */
const OTHERS = ['firewalld.service', 'nftables.service', 'netfilter-persistent.service', 'shorewall.service'];

/** Rules, policies and other firewalls, read from files: ufw itself is Python, and slow to start on a small board. */
export const firewallFound: Fact<FirewallFound> = fact({
  name: 'firewalls',
  script: sh`
command -v ufw >/dev/null && echo installed
grep -qs '^ENABLED=yes' /etc/ufw/ufw.conf && echo enabled
grep -s '^IPV6=\\|^DEFAULT_FORWARD_POLICY=' /etc/default/ufw
cat /etc/ufw/user.rules /etc/ufw/user6.rules 2>/dev/null | grep '^### tuple ###'
if command -v systemctl >/dev/null; then
  for hw_unit in ${OTHERS}; do
    if systemctl -q is-enabled "$hw_unit" 2>/dev/null || systemctl -q is-active "$hw_unit"; then echo "other $hw_unit"; fi
  done
fi
:`,
  parse: ({ stdout }) => {
    const lines = stdout.split('\n');
    const after = (start: string): string[] =>
      lines.filter((line) => line.startsWith(start)).map((line) => line.slice(start.length).replaceAll(/["']/g, ''));
    const policies = { ACCEPT: 'allow', DROP: 'deny', REJECT: 'reject' } as const;
    const policy = after('DEFAULT_FORWARD_POLICY=').at(-1);
    return {
      installed: lines.includes('installed'),
      enabled: lines.includes('enabled'),
      ipv6: after('IPV6=').at(-1)?.toLowerCase() === 'yes',
      routed: policy === 'ACCEPT' || policy === 'DROP' || policy === 'REJECT' ? policies[policy] : undefined,
      rules: uniqueBy(after('### tuple ### ').map(parseTuple)),
      others: after('other '),
    };
  },
  example: { installed: false, enabled: false, ipv6: false, routed: undefined, rules: [], others: [] },
});

/** `allow tcp 2379:2380 0.0.0.0/0 any 192.0.2.12 in comment=6865...` (the comment in hex), as ufw writes it. */
function parseTuple(line: string): UfwRuleFound {
  const [tuple = '', hex = ''] = line.split(' comment=');
  const [verb = '', proto = '', port = '', to = '', fromPort = '', from = '', ...rest] = tuple.trim().split(' ');
  const comment = Buffer.from(hex, 'hex').toString();
  const route = verb.startsWith('route:');
  const action = verb.replace('route:', '');
  const given = (text: string): string | undefined => (['any', '0.0.0.0/0', '::/0'].includes(text) ? undefined : text);
  const simple = rest.join(' ') === 'in' && fromPort === 'any' && to !== '::/0';
  if (!simple || !isAction(action) || (proto !== 'any' && proto !== 'tcp' && proto !== 'udp')) {
    return { key: tuple, rule: undefined, comment };
  }
  const rule = withoutUndefined({
    action,
    from: given(from),
    to: given(to),
    port: given(port),
    proto: proto === 'any' ? undefined : proto,
    route: route || undefined,
  });
  return { key: ruleKey(rule), rule, comment };
}

const isAction = (word: string): word is UfwRule['action'] => ['allow', 'deny', 'reject', 'limit'].includes(word);

/** The rule without fields that are not set, as {@link UfwRule} wants it. */
function withoutUndefined(rule: { readonly [K in keyof UfwRule]: UfwRule[K] | undefined }): UfwRule {
  const set = Object.entries(rule).filter(([, value]) => value !== undefined);
  return { action: rule.action ?? 'allow', ...Object.fromEntries(set) };
}

/** What makes ufw take two rules for the same: everything but the action and the comment. */
export function ruleKey({ from, to, port, proto, route }: UfwRule): string {
  const bare = (text = 'any'): string => text.replace(/^0\.0\.0\.0\/0$|^::\/0$/, 'any').replace(/\/(?:32|128)$/, '');
  return `${route ? 'route ' : ''}${proto ?? 'any'} ${port ?? 'any'} from ${bare(from)} to ${bare(to)}`;
}

/** A rule for all addresses stands in both of ufw's files; once is enough. */
function uniqueBy(rules: readonly UfwRuleFound[]): readonly UfwRuleFound[] {
  return rules.filter(({ key }, i) => rules.findIndex((other) => other.key === key) === i);
}
