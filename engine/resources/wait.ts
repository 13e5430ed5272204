/** Waiting for something to come true: a loop on the host, with a deadline, that shows what it last saw. */

import type { Resource } from '../resource.ts';
import { type Script, type ShellFunction, sh, shellFunction } from '../script.ts';
import { hwKv } from '../state.ts';
import { type Names, validateOptions } from '../validate-options.ts';

/** The exit code by which a wait's script says that the condition cannot come true any more: the wait ends at once. */
export const PERMANENT = 9;

/** What {@link waitFor} takes. */
export interface WaitOptions {
  /** What is waited for, as it stands in messages: `etcd on server-2 to be a voter`. */
  readonly what: string;
  /**
   * Reads only. Exit code 0: it holds; {@link PERMANENT}: it never will; any other: not yet. Its last line of output is what
   * was seen. It must not take long: give every request in it a timeout of a few seconds.
   */
  readonly script: Script;
  /** Seconds after which the wait fails. */
  readonly deadline: number;
  /** Seconds between tries. Default: 1. */
  readonly every?: number;
}

const OPTIONS: Names<WaitOptions> = { what: 'needed', script: 'needed', deadline: 'needed', every: true };

/** `hw_seen TEXT`: sets `hw_seen` to the last line of TEXT. */
const hwSeen: ShellFunction = shellFunction(
  'hw_seen',
  `
hw_seen=\${1##*
}`,
);

/** `hw_wait DEADLINE EVERY`: calls `hw_try` until it holds. Prints what is seen whenever that changes, and every 15 s. */
const hwWait: ShellFunction = shellFunction(
  'hw_wait',
  `
read -r hw_now hw_rest < /proc/uptime; hw_start=\${hw_now%.*} hw_said= hw_said_at=0
while :; do
  hw_text=$(hw_try 2>&1); hw_rc=$?
  hw_seen "$hw_text"
  read -r hw_now hw_rest < /proc/uptime; hw_waited=$((\${hw_now%.*} - hw_start))
  if [ $hw_rc = 0 ]; then printf 'holds after %s s: %s\\n' "$hw_waited" "$hw_seen"; return 0; fi
  if [ "$hw_seen" != "$hw_said" ] || [ $((hw_waited - hw_said_at)) -ge 15 ]; then
    printf 'last seen: %s\\n' "$hw_seen"; hw_said=$hw_seen hw_said_at=$hw_waited
  fi
  if [ $hw_rc = ${PERMANENT} ]; then printf 'heartwood: hopeless: %s\\n' "$hw_seen" >&2; return 1; fi
  if [ "$hw_waited" -ge "$1" ]; then printf 'heartwood: last seen: %s\\n' "$hw_seen" >&2; return 1; fi
  sleep "$2"
done`,
  [hwSeen],
);

/**
 * Waits until the script succeeds. Nothing is changed by it: a task that had to wait is `ok`. A wait that fails says what it
 * last saw.
 */
export function waitFor(options: WaitOptions): Resource {
  validateOptions('waitFor', options, OPTIONS);
  const { what, script, deadline, every = 1 } = options;
  return {
    kind: 'wait',
    id: what,
    probe: sh`
hw_text=$( ( ${script}
) 2>&1 </dev/null) && echo holds=yes || echo holds=no
${hwSeen} "$hw_text"
${hwKv} seen "$hw_seen"`,
    wanted: { holds: 'yes' },
    change: () => sh`
hw_try() ( ${script}
)
${hwWait} ${deadline} ${every} </dev/null`,
    undo: { kind: 'none', why: 'waiting changes nothing' },
    verify: 'exit code',
    readOnly: true,
    // The script may hang past the deadline; this is when it is killed.
    timeout: deadline + 30,
    explain: ({ stderr }) => {
      const [, hopeless, seen] = /heartwood: (hopeless|last seen): (.*)/.exec(stderr) ?? [];
      if (hopeless === undefined) return undefined;
      const last = seen ? `; last seen: ${seen}` : '; it showed nothing';
      return hopeless === 'hopeless'
        ? { what: `waited for ${what}, which cannot come any more${last}` }
        : { what: `waited ${deadline} s for ${what}, in vain${last}` };
    },
  };
}

/** What {@link waitForPort} takes. */
export interface WaitForPortOptions {
  /** As seen from the host that waits: a name or an address. Default: `127.0.0.1`. */
  readonly host?: string;
  readonly port: number;
  /** Seconds. */
  readonly deadline: number;
}

/** `hw_connect HOST PORT`: can a TCP connection be opened? With whichever tool is there. */
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
  validateOptions('waitForPort', options, { host: true, port: 'needed', deadline: 'needed' });
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
export interface WaitForUnitOptions {
  /** Seconds. */
  readonly deadline: number;
}

/** Waits until a systemd unit is active. Ends at once when the unit has failed for good, is masked or missing. */
export function waitForUnit(name: string, options: WaitForUnitOptions): Resource {
  validateOptions('waitForUnit', options, { deadline: 'needed' });
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

/** What {@link waitForHttp} takes. */
export interface WaitForHttpOptions {
  readonly url: string;
  /** Seconds. */
  readonly deadline: number;
  /** Status codes that will do. Default: 200. */
  readonly status?: readonly number[];
  /** A CA file on the host that the server's certificate is checked against; `insecure`: not checked at all. */
  readonly ca?: { readonly file: string } | 'insecure';
}

/** `hw_http_status URL [CURL_FLAG WGET_FLAG]`: prints the status of a GET, or why there is none. */
const hwHttpStatus: ShellFunction = shellFunction(
  'hw_http_status',
  `
if command -v curl >/dev/null; then
  hw_text=$(curl -sS -o /dev/null -m 5 -w '\\n%{http_code}' $2 "$1" 2>&1)
  case \${hw_text##*
} in 000) printf '%s\\n' "\${hw_text%%
*}" ;; *) printf '%s\\n' "\${hw_text##*
}" ;; esac
elif command -v wget >/dev/null; then
  hw_text=$(wget -S -O /dev/null -T 5 $3 "$1" 2>&1)
  hw_code=$(printf '%s\\n' "$hw_text" | sed -n 's/^ *HTTP[^ ]* \\([0-9]*\\).*/\\1/p' | tail -n 1)
  printf '%s\\n' "\${hw_code:-\${hw_text##*
}}"
else
  echo 'neither curl nor wget is there'; return ${PERMANENT}
fi`,
);

/** Waits until a GET of the URL answers with one of the status codes. Uses curl or wget, whichever the host has. */
export function waitForHttp(options: WaitForHttpOptions): Resource {
  validateOptions('waitForHttp', options, { url: 'needed', deadline: 'needed', status: true, ca: true });
  const { url, deadline, status = [200], ca } = options;
  const flags =
    ca === undefined
      ? ['', '']
      : ca === 'insecure'
        ? ['-k', '--no-check-certificate']
        : [`--cacert ${ca.file}`, `--ca-certificate=${ca.file}`];
  return waitFor({
    what: `${url} to answer ${status.join(' or ')}`,
    deadline,
    script: sh`
hw_code=$(${hwHttpStatus} ${url} ${flags}) || { hw_rc=$?; echo "$hw_code"; exit $hw_rc; }
echo "$hw_code"
for hw_good in ${status}; do [ "$hw_code" != "$hw_good" ] || exit 0; done
exit 1`,
  });
}
