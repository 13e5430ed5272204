#!/usr/bin/env bash
# npm test: installs what the tests need, then runs them all. Arguments go to tap: npm test -- test/engine/base.test.ts
set -euo pipefail
cd "$(dirname "$0")/.."

if [ ! -x node_modules/.bin/tap ]; then
  echo 'Installing the pinned npm packages (npm ci) ...'
  npm ci --no-fund --no-audit
fi
node --import tsx scripts/lab.ts prepare

exec node_modules/.bin/tap run "$@"
