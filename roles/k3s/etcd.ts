/**
 * The members of etcd as etcd itself knows them. k3s has no etcdctl; etcd's own JSON gateway listens on 127.0.0.1:2382
 * (`listen-client-http-urls` in server/db/etcd/config) and takes k3s's client certificate. A linearizable list is the
 * leader's list. Node objects lag behind and keep `EtcdIsVoter=True` of a server that is gone (k3s-observed.md), so
 * they are only asked in addition.
 */
import { type Fact, fact, type Resource, type Script, sh, shellFunction } from '../../engine/index.ts';
import { waitFor } from '../../engine/resources/wait.ts';
import { hwReach } from '../cluster/connectivity.ts';

/** Where k3s keeps its data. */
export const DATA = '/var/lib/rancher/k3s';

/** A member. */
export interface EtcdMember {
  /** Decimal, as the JSON gateway has it: beyond what a JavaScript number holds. */
  readonly id: string;
  /** `server-1-91e52f96`; empty while the member has been added and not come up. */
  readonly name: string;
  /** Where its peers find it: `192.0.2.11`. */
  readonly address: string;
  readonly learner: boolean;
}

/** `hw_etcd PATH JSON`: asks etcd on this host. */
export const hwEtcd = shellFunction(
  'hw_etcd',
  `
hw_tls=${DATA}/server/tls/etcd
curl -sS --fail-with-body -m 5 --cacert "$hw_tls/server-ca.crt" --cert "$hw_tls/client.crt" --key "$hw_tls/client.key" -H 'Content-Type: application/json' -d "$2" "https://127.0.0.1:2382/v3/$1"`,
);

/**
 * `hw_members yes|no`: a line per member, `ID NAME ADDRESS learner|voter`, NAME `-` where it is empty. With yes the
 * answer is the leader's, and there is none without quorum.
 */
export const hwMembers = shellFunction(
  'hw_members',
  `
hw_json=$(hw_etcd cluster/member/list '{"linearizable":'"$([ "$1" = yes ] && echo true || echo false)"'}' 2>&1) || {
  printf '%s\\n' "$hw_json" | tail -n 1; return 1; }
printf '%s\\n' "$hw_json" | tr '{' '\\n' | sed -n '/"ID"/p' | while IFS= read -r hw_line; do
  hw_id=$(printf '%s' "$hw_line" | sed -n 's/.*"ID":"\\{0,1\\}\\([0-9]*\\).*/\\1/p')
  hw_name=$(printf '%s' "$hw_line" | sed -n 's/.*"name":"\\([^"]*\\)".*/\\1/p')
  hw_at=$(printf '%s' "$hw_line" | sed -n 's/.*"peerURLs":\\["[a-z]*:\\/\\/\\([^"]*\\):[0-9]*".*/\\1/p')
  case $hw_line in *'"isLearner":true'*) hw_role=learner ;; *) hw_role=voter ;; esac
  printf '%s %s %s %s\\n' "$hw_id" "\${hw_name:--}" "\${hw_at:--}" "$hw_role"
done`,
  [hwEtcd],
);

/**
 * `hw_yield_leader`: where this member leads etcd, makes another voter the leader. A leader that stops does so by
 * itself. Where that fails, the others hold an election (5 s), and no request is answered meanwhile. A failure here is
 * ignored.
 */
export const hwYieldLeader = shellFunction(
  'hw_yield_leader',
  `
hw_json=$(hw_etcd maintenance/status '{}' 2>/dev/null) || return 0
hw_me=$(printf '%s\\n' "$hw_json" | sed -n 's/.*"member_id":"\\([0-9]*\\)".*/\\1/p')
[ "$(printf '%s\\n' "$hw_json" | sed -n 's/.*"leader":"\\([0-9]*\\)".*/\\1/p')" = "$hw_me" ] || return 0
hw_next=$(hw_members yes | sed -n 's/^\\([0-9]*\\) [^-].* voter$/\\1/p' | grep -vx "$hw_me" | head -n 1)
[ -n "$hw_next" ] || return 0
hw_etcd maintenance/transfer-leadership '{"targetID":"'"$hw_next"'"}' >/dev/null && echo 'another server leads etcd now'
return 0`,
  [hwEtcd, hwMembers],
);

/** Reads what `hw_members` printed. */
export function parseMembers(output: string): readonly EtcdMember[] {
  return output.split('\n').flatMap((line) => {
    const [id, name, address, role] = line.split(' ');
    if (!id || !name || !address || !role) return [];
    return [{ id, name: name === '-' ? '' : name, address, learner: role === 'learner' }];
  });
}

/** The members as this host's etcd has them; undefined where it does not run, or has lost its quorum. */
export const etcdMembers: Fact<readonly EtcdMember[] | undefined> = fact({
  name: 'etcd members',
  script: sh`
[ -d ${DATA}/server/db/etcd/member/wal ] && command -v curl >/dev/null || exit 1
${hwMembers} yes`,
  parse: ({ stdout, exitCode }) => (exitCode === 0 ? parseMembers(stdout) : undefined),
  example: undefined,
});

/**
 * `hw_ready ADDRESS`: asks /readyz of an API server with the admin certificate of this host; neither /ping nor an
 * anonymous 401 proves that it is ready. Prints the checks that fail.
 */
export const hwReady = shellFunction(
  'hw_ready',
  `
hw_tls=${DATA}/server/tls
hw_text=$(curl -sS -m 5 --cacert "$hw_tls/server-ca.crt" --cert "$hw_tls/client-admin.crt" --key "$hw_tls/client-admin.key" "https://$1:6443/readyz" 2>&1) || {
  printf '%s\\n' "$hw_text" | tail -n 1; return 1; }
[ "$hw_text" = ok ] && return 0
hw_bad=$(printf '%s\\n' "$hw_text" | sed -n 's/^\\[-\\]\\([^ ]*\\).*/\\1/p' | tr '\\n' ' ')
if [ -n "$hw_bad" ]; then echo "not ready: $hw_bad"; else printf '%s\\n' "$hw_text" | tr '\\n' ' ' | cut -c1-200; echo; fi
return 1`,
);

/**
 * A condition for a wait on a server: every member of etcd has come up and votes, but for one at the address `except`.
 */
export function allVote(except = ''): Script {
  return sh`
hw_list=$(${hwMembers} yes) || { echo "etcd: $hw_list"; exit 1; }
hw_bad=$(printf '%s\n' "$hw_list" | while read -r hw_id hw_name hw_at hw_role; do
  [ "$hw_at" = ${except} ] && continue
  if [ "$hw_name" = - ]; then printf 'the member at %s was added and never came up; ' "$hw_at"
  elif [ $hw_role = learner ]; then printf '%s is still a learner; ' "$hw_name"; fi
done)
[ -z "$hw_bad" ] || { echo "$hw_bad"; exit 1; }
echo "$(printf '%s\n' "$hw_list" | grep -c .) members, all vote"`;
}

/**
 * A condition for a server: its API is ready, the leader lists it as a voter, and its Node says so too (the leader
 * writes that every 15 s; k3s-observed.md).
 */
export function isVoter(node: string, address: string): Script {
  return sh`
${hwReady} 127.0.0.1 || exit 1
hw_list=$(${hwMembers} yes) || { echo "etcd: $hw_list"; exit 1; }
case $(printf '%s\n' "$hw_list" | sed -n ${`s/^[0-9]* [^ ]* ${address.replaceAll('.', '\\.')} //p`}) in
  voter) ;;
  learner) echo ${`${node} is still a learner of etcd`}; exit 1 ;;
  *) echo ${`etcd has no member at ${address}`}; exit 1 ;;
esac
hw_text=$(/usr/local/bin/k3s kubectl get node ${node} -o ${'jsonpath={.status.conditions[?(@.type=="EtcdIsVoter")].status}'} 2>&1)
[ "$hw_text" = True ] || { echo ${`node ${node}: EtcdIsVoter is`} "$(printf '%s\n' "\${hw_text:-not set}" | tail -n 1)"; exit 1; }
echo ${`${node} votes`}`;
}

/**
 * A condition for a server, before it is restarted: the others are a quorum. A server whose own etcd does not answer
 * has nothing to lose. Of two servers neither is a quorum, so there the other must only be ready.
 */
export function canBeSpared(address: string): Script {
  return sh`
if [ ! -d ${DATA}/server/db/etcd/member/wal ] || ! ${hwMembers} no >/dev/null; then echo 'etcd does not run here: nothing to lose'; exit 0; fi
hw_list=$(${hwMembers} yes) || { echo "etcd has no quorum: $hw_list"; exit 1; }
hw_n=0 hw_well=0 hw_ill=
while read -r hw_id hw_name hw_at hw_role; do
  if [ "$hw_role" = learner ]; then echo "\${hw_name#-} at $hw_at is joining just now"; exit 1; fi
  hw_n=$((hw_n + 1))
  [ "$hw_at" = ${address} ] && continue
  if hw_text=$(${hwReady} "$hw_at"); then hw_well=$((hw_well + 1)); else hw_ill="$hw_ill$hw_name: $hw_text; "; fi
done <<EOF
$hw_list
EOF
hw_need=$((hw_n / 2 + 1)); [ $hw_n -gt 2 ] || hw_need=$((hw_n - 1))
echo "\${hw_ill}$hw_well of $((hw_n - 1)) other servers are ready, $hw_need needed"
[ $hw_well -ge $hw_need ]`;
}

/**
 * `hw_leftovers ADDRESS`: prints the ids of half-joined members at an address where no etcd runs. A learner whose peer
 * port is open is alive: it gets its data, and is promoted by the leader within 15 s.
 */
const hwLeftovers = shellFunction(
  'hw_leftovers',
  `
hw_list=$(hw_members yes 2>/dev/null | sed -n "s/^\\([0-9]*\\) [^ ]* $(printf %s "$1" | sed 's/\\./\\\\./g') learner$/\\1/p")
[ -n "$hw_list" ] || return 0
case $(hw_reach tcp "$1" 2380) in *' open '*) ;; *) printf '%s\\n' "$hw_list" ;; esac`,
  [hwMembers, hwReach],
);

/**
 * No half-joined member at `address`: one that was added for a host that never came up with it. For the server that the
 * host joins through. A member that runs is never removed.
 */
export function noLeftoverAt(address: string): Resource {
  return {
    kind: 'etcd-member',
    id: `none left over at ${address}`,
    probe: sh`hw_left=$(${hwLeftovers} ${address} | tr "\\n" " "); echo "leftover=\${hw_left:-none}"`,
    wanted: { leftover: 'none' },
    change: () => sh`
for hw_left in $(${hwLeftovers} ${address}); do
  ${hwEtcd} cluster/member/remove "{\\"ID\\":\\"$hw_left\\"}" || exit
done`,
    noUndo: 'the member never was one',
  };
}

/**
 * Was the member of a server removed from etcd behind its back? Its data is of no use any more: k3s started on it stays
 * `activating` for ever (k3s-captures/71). True only where another server has the leader's list, and that has neither
 * its name nor its address.
 */
export function wasRemoved(
  own: { readonly server: string; readonly datastore: string; readonly member: string | undefined },
  address: string,
  lists: readonly (readonly EtcdMember[] | undefined)[],
): boolean {
  const list = lists.find((each) => each !== undefined && each.length > 0);
  if (!list || own.datastore !== 'etcd' || own.member === undefined || own.server === 'active') return false;
  return list.every((member) => member.name !== own.member && member.address !== address);
}

/** The ports between this host (called `from`) and `to` are not dropped on the way. */
export function portsOpen(from: string, to: string, address: string, ports: readonly number[]): Resource {
  const wait = waitFor({
    what: `${ports.join(' and ')}/tcp from ${from} to ${to} to be open`,
    deadline: 5,
    script: sh`
hw_all=$(for hw_port in ${ports}; do ${hwReach} tcp ${address} $hw_port & done; wait)
hw_bad=
for hw_port in ${ports}; do
  # A refusal is proof too: the packet arrived, and no program listens yet.
  case $(printf '%s\n' "$hw_all" | grep -F ${`tcp ${address} `}"$hw_port ") in
    *" $hw_port dropped"* | *" $hw_port rejected"*) hw_bad="\${hw_bad:+$hw_bad, }$hw_port/tcp" ;;
  esac
done
[ -z "$hw_bad" ] || { echo "$hw_bad" ${`from ${from} to ${to} is dropped`}; exit 1; }
echo ${`nothing is dropped from ${from} to ${to}`}`,
  });
  return {
    ...wait,
    explain: ({ stderr }) => {
      const seen = /last seen: (.* is dropped)/.exec(stderr)?.[1];
      if (!seen) return wait.explain?.({ exitCode: 1, stdout: '', stderr });
      return {
        what: seen,
        hint: 'run the firewall role (--tags firewall); then look for filters between the hosts',
      };
    },
  };
}
