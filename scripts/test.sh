#!/usr/bin/env bash
# npm test: installs what the tests need, then runs them all. Arguments go to tap: npm test -- test/engine/base.test.ts
set -euo pipefail
cd "$(dirname "$0")/.."

if [ ! -x node_modules/.bin/tap ]; then
  echo 'Installing the pinned npm packages (npm ci) ...'
  npm ci --no-fund --no-audit
fi
# A real sshd and a second shell for the session's tests; the lab installs what it needs itself.
missing=
[ -x /usr/sbin/sshd ] || missing="$missing openssh-server"
command -v busybox >/dev/null || missing="$missing busybox-static"
command -v curl >/dev/null || missing="$missing curl"
command -v wget >/dev/null || missing="$missing wget"
command -v shellcheck >/dev/null || missing="$missing shellcheck"
if [ -n "$missing" ]; then
  echo "Installing Debian packages:$missing ..."
  apt-get update -q
  # shellcheck disable=SC2086 # several words are meant
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
fi
# What takes minutes the first time, before tests with deadlines begin: the hosts' roots, and k3s for them.
case " $* " in
  '  ' | *test/lab* | *test/contract* | *test/bench*)
    node --import tsx scripts/lab.ts up --name test-warm-up
    node --import tsx scripts/lab.ts down --name test-warm-up ;;
esac

exec node_modules/.bin/tap run "$@"
