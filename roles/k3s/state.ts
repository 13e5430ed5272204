/**
 * What of k3s is on a host already: binary, unit, data, settings. Read before every decision; nothing here is changed.
 */

import { type Fact, fact, Script, sh } from '../../engine/index.ts';
import { yaml } from '../../engine/lazy-packages.ts';
import { hwKv, parseState } from '../../engine/state.ts';
import { DATA } from './etcd.ts';

/** The first line of every file we write, by which we know them again. */
export const MARK = '# Written by Heartwood.';

/** Where the cluster's data is. In this order: what is on disk as etcd stays etcd, whatever the settings say. */
export type Datastore = 'none' | 'etcd' | 'external' | 'sqlite';

/** What {@link k3sState} finds. */
export interface K3sState {
  /** `v1.36.2+k3s1`; undefined where there is no binary, or none that runs. */
  readonly version: string | undefined;
  readonly datastore: Datastore;
  /** True where the server was removed from its cluster: its etcd data goes at the next start, and it joins anew. */
  readonly removed: boolean;
  /** The name of its etcd member, `server-1-91e52f96`; undefined where it never had one. */
  readonly member: string | undefined;
  /** sha256 of the CA that signs the servers' certificates: tells one cluster from another. Undefined without one. */
  readonly ca: string | undefined;
  /** systemd's ActiveState of k3s.service and k3s-agent.service; `absent` where there is no such unit. */
  readonly server: UnitState;
  readonly agent: UnitState;
  /** Is the unit that is there written by us? True where there is none. */
  readonly ours: boolean;
  /** Whose config.yaml is there? */
  readonly config: 'none' | 'ours' | 'foreign';
  /** sha256 of the CA of the cluster that this host is, or was, an agent of. Undefined where it never was one. */
  readonly agentCa: string | undefined;
  /** The name of the node: what config says, or the host name, in lower case as k3s has it. */
  readonly node: string;
  /** Where config.yaml says to join; undefined where it does not. */
  readonly joins: string | undefined;
  /** Commands of the PATH that are not k3s's own links: the official installer leaves these alone too. */
  readonly taken: readonly string[];
}

/** systemd's word. */
export type UnitState = 'absent' | 'active' | 'activating' | 'deactivating' | 'reloading' | 'inactive' | 'failed';

/** The links that k3s brings along. */
export const LINKS = ['kubectl', 'crictl', 'ctr'] as const;

/** k3s on a host. */
export const k3sState: Fact<K3sState> = fact({
  name: 'k3s',
  script: sh`
hw_k3s=/usr/local/bin/k3s
[ -x $hw_k3s ] && echo "version=$(timeout 20 $hw_k3s --version 2>/dev/null | sed -n '1s/^k3s version \\([^ ]*\\).*/\\1/p')"
hw_db=${DATA}/server/db
hw_config() { cat /etc/rancher/k3s/config.yaml /etc/rancher/k3s/config.yaml.d/*.yaml 2>/dev/null; }
hw_unit() { [ -e "/etc/systemd/system/$1.service" ] && cat "/etc/systemd/system/$1.service" "/etc/systemd/system/$1.service.env" 2>/dev/null; }
hw_setting() { hw_config | sed -n "s/^$1:[[:space:]]*[\\"']\\{0,1\\}\\([^\\"'#]*\\).*/\\1/p" | tail -n 1 | sed 's/[[:space:]]*$//'; }
if [ -d $hw_db/etcd/member/wal ]; then echo datastore=etcd
elif { hw_config; hw_unit k3s; } | grep -q -e 'datastore-endpoint' -e 'K3S_DATASTORE_ENDPOINT'; then echo datastore=external
elif [ -e $hw_db/state.db ]; then echo datastore=sqlite
else echo datastore=none; fi
[ -e $hw_db/etcd/tombstone ] && echo removed=yes
[ -s $hw_db/etcd/name ] && echo "member=$(head -n 1 $hw_db/etcd/name)"
[ -e ${DATA}/server/tls/server-ca.crt ] && echo "ca=$(sha256sum <${DATA}/server/tls/server-ca.crt | cut -d' ' -f1)"
for hw_name in k3s k3s-agent; do
  hw_shown=$(systemctl show -p LoadState,ActiveState -- $hw_name.service 2>/dev/null)
  case $hw_shown in
    *LoadState=loaded*) hw_active=\${hw_shown##*ActiveState=}; echo "unit.$hw_name=\${hw_active%%
*}" ;;
    *) echo "unit.$hw_name=absent" ;;
  esac
done
hw_ours=yes
for hw_name in k3s k3s-agent; do
  [ -e /etc/systemd/system/$hw_name.service ] || continue
  IFS= read -r hw_line </etc/systemd/system/$hw_name.service
  case $hw_line in ${MARK}*) ;; *) hw_ours=no ;; esac
done
echo ours=$hw_ours
if [ -e /etc/rancher/k3s/config.yaml ]; then
  hw_line=; IFS= read -r hw_line </etc/rancher/k3s/config.yaml
  case $hw_line in ${MARK}*) echo config=ours ;; *) echo config=foreign ;; esac
fi
[ -e ${DATA}/agent/server-ca.crt ] && echo "agent_ca=$(sha256sum <${DATA}/agent/server-ca.crt | cut -d' ' -f1)"
hw_node=$(hw_setting node-name)
${hwKv} node "$(printf %s "\${hw_node:-$(uname -n)}" | tr '[:upper:]' '[:lower:]')"
${hwKv} joins "$(hw_setting server)"
for hw_name in ${LINKS}; do
  hw_path=$(command -v $hw_name) || continue
  [ "$hw_path" = "/usr/local/bin/$hw_name" ] && [ "$(readlink "$hw_path")" = k3s ] && continue
  echo "taken.$hw_name=yes"
done
echo complete=yes`,
  parse: ({ stdout }) => {
    const state = parseState(stdout);
    // Half an answer would read as a host without a cluster, and a second one be begun.
    if (state['complete'] !== 'yes') throw new Error('the answer is not complete');
    return {
      version: state['version'] || undefined,
      datastore: (state['datastore'] ?? 'none') as Datastore,
      removed: state['removed'] === 'yes',
      member: state['member'] || undefined,
      ca: state['ca'],
      server: (state['unit.k3s'] ?? 'absent') as UnitState,
      agent: (state['unit.k3s-agent'] ?? 'absent') as UnitState,
      ours: state['ours'] !== 'no',
      config: (state['config'] ?? 'none') as K3sState['config'],
      agentCa: state['agent_ca'],
      node: state['node'] ?? '',
      joins: state['joins'] || undefined,
      taken: LINKS.filter((name) => state[`taken.${name}`] === 'yes'),
    };
  },
  example: {
    version: undefined,
    datastore: 'none',
    removed: false,
    member: undefined,
    ca: undefined,
    server: 'absent',
    agent: 'absent',
    ours: true,
    config: 'none',
    agentCa: undefined,
    node: 'node-1',
    joins: undefined,
    taken: [],
  },
});

/** Does this server hold a cluster's data? */
export function hasCluster(state: Pick<K3sState, 'datastore' | 'removed'>): boolean {
  return state.datastore === 'etcd' && !state.removed;
}

/** Is the unit doing something, whether it got anywhere or not? */
export function isUp(unit: UnitState): boolean {
  return unit === 'active' || unit === 'activating' || unit === 'reloading';
}

/** Settings as k3s reads them: config.yaml, then config.yaml.d in order, the last winning and `key+` appending. */
export type Settings = Readonly<Record<string, unknown>>;

/** Settings that must not leave the host. */
const SECRET_SETTINGS = 'token|agent-token|etcd-s3-access-key|etcd-s3-secret-key|datastore-endpoint|vpn-auth';

const FILE_SEPARATOR = '--- heartwood ---';

/**
 * What k3s on a host is set to, secrets left out: config.yaml, config.yaml.d, and the flags and variables of its unit.
 */
export const k3sSettings: Fact<Settings> = settingsFact('k3s settings', ['config.yaml', 'config.yaml.d/*.yaml']);

/** The same without config.yaml.d: what is lost when config.yaml and the unit are written anew. */
export const replacedSettings: Fact<Settings> = settingsFact('replaced k3s settings', ['config.yaml']);

function settingsFact(name: string, files: readonly string[]): Fact<Settings> {
  return fact({
    name,
    script: sh`
for hw_path in ${Script.raw(files.map((path) => `/etc/rancher/k3s/${path}`).join(' '))}; do
  [ -f "$hw_path" ] || continue
  echo ${FILE_SEPARATOR}
  grep -v -E ${`^["']?(${SECRET_SETTINGS})["']?[[:space:]]*:`} "$hw_path"
done
echo ${FILE_SEPARATOR}
for hw_name in k3s k3s-agent; do
  [ -f /etc/systemd/system/$hw_name.service ] || continue
  systemctl show -p ExecStart -- $hw_name.service 2>/dev/null | sed -n 's/^ExecStart=.*argv\\[\\]=[^ ]* \\(.*\\) ; ignore_errors.*/argv \\1/p' |
    sed -E ${`s/--(${SECRET_SETTINGS})[= ][^ ]+//g`}
  sed -n "s/^K3S_\\([A-Z_]*\\)=['\\"]\\{0,1\\}\\([^'\\"]*\\).*/env \\1 \\2/p" /etc/systemd/system/$hw_name.service.env 2>/dev/null |
    grep -v -E '^env (AGENT_)?TOKEN|^env DATASTORE'
done
true`,
    parse: ({ stdout, exitCode }) => {
      if (exitCode !== 0) throw new Error('the answer is not complete');
      return parseSettings(stdout);
    },
    example: {},
  });
}

/** Reads what the fact printed: config files, then the unit's flags, which win. */
export function parseSettings(output: string): Settings {
  const parts = output.split(`${FILE_SEPARATOR}\n`).slice(1);
  const settings: Record<string, unknown> = {};
  for (const text of parts.slice(0, -1)) {
    const config: unknown = yaml().parse(text);
    if (typeof config !== 'object' || config === null) continue;
    for (const [key, value] of Object.entries(config)) {
      if (key.endsWith('+')) {
        const name = key.slice(0, -1);
        settings[name] = [...listOf(settings[name]), ...listOf(value)];
      } else settings[key] = value;
    }
  }
  for (const line of parts.at(-1)?.split('\n') ?? []) {
    const [kind, ...words] = line.split(' ');
    if (kind === 'env' && words[0]) settings[words[0].toLowerCase().replaceAll('_', '-')] = words.slice(1).join(' ');
    if (kind === 'argv') Object.assign(settings, parseFlags(words));
  }
  return settings;
}

/** Flags as settings: `--disable traefik --disable=servicelb --cluster-init` as the same in YAML. */
function parseFlags(words: readonly string[]): Record<string, unknown> {
  const flags: Record<string, unknown> = {};
  for (let i = 0; i < words.length; i++) {
    const [, name, given] = /^--?([\w-]+)(?:=(.*))?$/.exec(words[i] ?? '') ?? [];
    if (!name) continue;
    const next = words[i + 1];
    const value = given ?? (next !== undefined && !next.startsWith('-') ? words[++i] : true);
    flags[name] = name in flags ? [...listOf(flags[name]), value] : value;
  }
  return flags;
}

/** A setting as a list: `a`, `a,b` and `[a, b]` mean the same to k3s where a list is meant. */
export function listOf(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}
