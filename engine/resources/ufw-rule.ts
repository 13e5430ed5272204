/** A firewall rule in the form that ufw stores, so that the rule found and the rule wanted can be compared as text. */
import { InvalidValue } from '../errors.ts';
import { parseNetwork } from '../ip-address.ts';
import {
  BOOLEAN,
  type OptionsOf,
  oneOf,
  required,
  TEXT,
  type ValueType,
  validateOptions,
  valueType,
} from '../validate-options.ts';

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

/** A rule as ufw stores it for IPv4 and for IPv6 (empty where it has no part there), and as arguments of `ufw`. */
export function normalForm(rule: UfwRule): { v4: string; v6: string; words: readonly string[] } {
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
  const network = parseNetwork(given);
  if (network === undefined) {
    throw new InvalidValue({
      what: `firewall rule: "${given}" is no address or network`,
      expected: '10.0.0.5, 10.42.0.0/16, fd00::5, fd00::/8, any',
    });
  }
  const { family, address, prefix } = network;
  if (prefix === 0) return { text: 'any' };
  return { text: prefix === (family === 4 ? 32 : 128) ? address : `${address}/${prefix}`, family };
}
