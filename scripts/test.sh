#!/usr/bin/env bash
# npm test: installs what the tests need, then runs scripts/test.ts, which has the options (npm test -- --help).
set -euo pipefail
cd "$(dirname "$0")/.."

if [ ! -x node_modules/.bin/tap ]; then
  echo 'Installing the pinned npm packages (npm ci) ...'
  npm ci --no-fund --no-audit
fi
# A real sshd, a second shell and a linter of shell; the lab installs what it needs itself.
missing=
[ -x /usr/sbin/sshd ] || missing="$missing openssh-server"
command -v busybox >/dev/null || missing="$missing busybox-static"
for program in curl wget shellcheck; do
  command -v "$program" >/dev/null || missing="$missing $program"
done
if [ -n "$missing" ]; then
  echo "Installing Debian packages:$missing ..."
  apt-get update -q
  # shellcheck disable=SC2086 # several words are meant
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
fi

exec node --import tsx scripts/test.ts "$@"
