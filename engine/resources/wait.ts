/** Waiting for a condition: a loop on the host, with a deadline, that shows what it saw last. */

import type { Resource } from '../resource.ts';
import { type ShellFunction, sh, shellFunction } from '../script.ts';
import { hwKv } from '../state.ts';
import {
  isMapping,
  type OptionsOf,
  PORT,
  required,
  SCRIPT,
  SECONDS,
  TEXT,
  validateOptions,
  valueType,
} from '../validate-options.ts';
import { PATH } from './atomic-path.ts';

/** The exit code by which a wait's script says that the condition will never be met: the wait ends at once. */
export const PERMANENT = 9;

const DEADLINE = {
  /** Seconds after which the wait fails. */
  deadline: required(SECONDS),
};

const OPTIONS = {
  /** What is waited for, as it stands in messages: `etcd on server-2 to be a voter`. */
  what: required(TEXT),
  /**
   * Reads only. Exit code 0: the condition is met. {@link PERMANENT}: it never will be. Any other: not yet. The last
   * line of output is shown. It must not take long: give every request in it a timeout of a few seconds.
   */
  script: required(SCRIPT),
  ...DEADLINE,
  /** Seconds between tries. Default: 1. */
  every: SECONDS,
};

/** What {@link waitFor} takes. */
export type WaitOptions = OptionsOf<typeof OPTIONS>;

/** `hw_last_line TEXT`: sets `hw_last` to the last line of TEXT. */
const hwLastLine: ShellFunction = shellFunction(
  'hw_last_line',
  `
hw_last=\${1##*
}`,
);

/**
 * `hw_wait DEADLINE EVERY`: calls `hw_try` until it succeeds. Prints its last line whenever that changes, and every 15
 * s.
 */
const hwWait: ShellFunction = shellFunction(
  'hw_wait',
  `
read -r hw_now hw_rest < /proc/uptime; hw_start=\${hw_now%.*} hw_said= hw_said_at=0
while :; do
  hw_text=$(hw_try 2>&1); hw_rc=$?
  hw_last_line "$hw_text"
  read -r hw_now hw_rest < /proc/uptime; hw_waited=$((\${hw_now%.*} - hw_start))
  if [ $hw_rc = 0 ]; then printf 'holds after %s s: %s\\n' "$hw_waited" "$hw_last"; return 0; fi
  if [ "$hw_last" != "$hw_said" ] || [ $((hw_waited - hw_said_at)) -ge 15 ]; then
    printf 'last seen: %s\\n' "$hw_last"; hw_said=$hw_last hw_said_at=$hw_waited
  fi
  if [ $hw_rc = ${PERMANENT} ]; then printf 'heartwood: permanent: %s\\n' "$hw_last" >&2; return 1; fi
  if [ "$hw_waited" -ge "$1" ]; then printf 'heartwood: last seen: %s\\n' "$hw_last" >&2; return 1; fi
  sleep "$2"
done`,
  [hwLastLine],
);

/**
 * Waits until the script succeeds. It changes nothing: a task that had to wait is `ok`. A wait that fails says what it
 * saw last.
 */
export function waitFor(options: WaitOptions): Resource {
  validateOptions('waitFor', options, OPTIONS);
  const { what, script, deadline, every = 1 } = options;
  return {
    kind: 'wait',
    id: what,
    probe: sh`
if hw_text=$( ( ${script}
) 2>&1 </dev/null); then echo holds=yes; else echo holds=no; fi
${hwLastLine} "$hw_text"
${hwKv} seen "$hw_last"`,
    wanted: { holds: 'yes' },
    change: () => sh`
hw_try() ( ${script}
)
${hwWait} ${deadline} ${every} </dev/null`,
    noUndo: 'waiting changes nothing',
    verify: 'exit code',
    readOnly: true,
    // The script may hang past the deadline; this is when it is killed.
    timeout: deadline + 30,
    explain: ({ stderr }) => {
      const [, ending, seen] = /heartwood: (permanent|last seen): (.*)/.exec(stderr) ?? [];
      if (ending === undefined) return undefined;
      const last = seen ? `; last seen: ${seen}` : '; it printed nothing';
      return ending === 'permanent'
        ? { what: `waited for ${what}, which will never be${last}` }
        : { what: `timed out after ${deadline} s of waiting for ${what}${last}` };
    },
  };
}

const PORT_OPTIONS = {
  /** A name or an address, as seen from the host that waits. Default: `127.0.0.1`. */
  host: TEXT,
  port: required(PORT),
  ...DEADLINE,
};

/** What {@link waitForPort} takes. */
export type WaitForPortOptions = OptionsOf<typeof PORT_OPTIONS>;

/** `hw_connect HOST PORT`: succeeds when a TCP connection can be opened, by whichever of nc, curl and bash is there. */
export const hwConnect: ShellFunction = shellFunction(
  'hw_connect',
  `
if command -v nc >/dev/null; then
  hw_text=$(nc -w 2 -z "$1" "$2" 2>&1 </dev/null) && return 0
  case $hw_text in *sage:*|*'invalid option'*) hw_text=$(nc -w 2 "$1" "$2" 2>&1 </dev/null) && return 0 ;; esac
elif command -v curl >/dev/null; then
  case $(curl -s -o /dev/null -m 3 --connect-timeout 2 -w '%{time_connect}' "telnet://$1:$2" </dev/null) in
    ''|0|0.000|0.000000) return 1 ;;
  esac
elif command -v bash >/dev/null; then
  timeout 2 bash -c ': < "/dev/tcp/$1/$2"' bash "$1" "$2" 2>/dev/null
else
  echo 'none of nc, curl, bash is there to open a connection with'; return ${PERMANENT}
fi`,
);

/** Waits until a TCP connection to the port can be opened. Uses nc, curl or bash, whichever the host has. */
export function waitForPort(options: WaitForPortOptions): Resource {
  validateOptions('waitForPort', options, PORT_OPTIONS);
  const { host = '127.0.0.1', port, deadline } = options;
  return waitFor({
    what: `port ${port} of ${host}`,
    deadline,
    script: sh`
${hwConnect} ${host} ${port}; hw_rc=$?
case $hw_rc in 0) echo open ;; ${PERMANENT}) ;; *) echo 'no connection' ;; esac
exit $hw_rc`,
  });
}

/** What {@link waitForUnit} takes besides the unit's name. */
export type WaitForUnitOptions = OptionsOf<typeof DEADLINE>;

/** Waits until a systemd unit is active. Ends at once when the unit has failed for good, is masked or missing. */
export function waitForUnit(name: string, options: WaitForUnitOptions): Resource {
  validateOptions('waitForUnit', options, DEADLINE);
  const { deadline } = options;
  return waitFor({
    what: `unit ${name} to be active`,
    deadline,
    script: sh`
LoadState= ActiveState= SubState= Result=
eval "$(systemctl show -p LoadState,ActiveState,SubState,Result -- ${name})"
echo "$ActiveState ($SubState), result $Result"
case $LoadState/$ActiveState in
  loaded/active) exit 0 ;;
  loaded/failed) exit ${PERMANENT} ;;
  not-found/*|masked/*) echo "unit is $LoadState"; exit ${PERMANENT} ;;
esac
exit 1`,
  });
}

const HTTP_OPTIONS = {
  url: required(TEXT),
  ...DEADLINE,
  /** The status codes that are waited for. Default: 200. */
  status: valueType<readonly number[]>(
    'a list of status codes: [200, 401]',
    (value) => Array.isArray(value) && value.length > 0 && value.every(Number.isInteger),
  ),
  /** A CA file on the host that the server's certificate is checked against. `insecure`: it is not checked at all. */
  ca: valueType<{ readonly file: string } | 'insecure'>(
    '{ file: "/path/of/ca.crt" }, "insecure"',
    (value) => value === 'insecure' || (isMapping(value) && 'file' in value && PATH.fits(value.file)),
  ),
};

/** What {@link waitForHttp} takes. */
export type WaitForHttpOptions = OptionsOf<typeof HTTP_OPTIONS>;

/** `hw_http_status URL CA`: prints the status of a GET, or why there is none. CA is a file, `insecure`, or empty. */
const hwHttpStatus: ShellFunction = shellFunction(
  'hw_http_status',
  `
hw_url=$1 hw_ca=$2
set --
if command -v curl >/dev/null; then
  case $hw_ca in '') ;; insecure) set -- -k ;; *) set -- --cacert "$hw_ca" ;; esac
  hw_text=$(curl -sS -o /dev/null -m 5 -w '\\n%{http_code}' "$@" -- "$hw_url" 2>&1)
  case \${hw_text##*
} in 000) printf '%s\\n' "\${hw_text%%
*}" ;; *) printf '%s\\n' "\${hw_text##*
}" ;; esac
elif command -v wget >/dev/null; then
  case $hw_ca in '') ;; insecure) set -- --no-check-certificate ;; *) set -- "--ca-certificate=$hw_ca" ;; esac
  hw_text=$(wget -S -O /dev/null -T 5 "$@" -- "$hw_url" 2>&1)
  hw_code=$(printf '%s\\n' "$hw_text" | sed -n 's/^ *HTTP[^ ]* \\([0-9]*\\).*/\\1/p' | tail -n 1)
  printf '%s\\n' "\${hw_code:-\${hw_text##*
}}"
else
  echo 'neither curl nor wget is there'; return ${PERMANENT}
fi`,
);

/** Waits until a GET of the URL answers with one of the status codes. Uses curl or wget, whichever the host has. */
export function waitForHttp(options: WaitForHttpOptions): Resource {
  validateOptions('waitForHttp', options, HTTP_OPTIONS);
  const { url, deadline, status = [200], ca } = options;
  const checkedBy = typeof ca === 'object' ? ca.file : (ca ?? '');
  return waitFor({
    what: `${url} to answer ${status.join(' or ')}`,
    deadline,
    script: sh`
hw_code=$(${hwHttpStatus} ${url} ${checkedBy}) || { hw_rc=$?; echo "$hw_code"; exit $hw_rc; }
echo "$hw_code"
for hw_good in ${status}; do [ "$hw_code" != "$hw_good" ] || exit 0; done
exit 1`,
  });
}
