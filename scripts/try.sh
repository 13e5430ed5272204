#!/usr/bin/env bash
# npm run try: installs what it needs, boots a lab of real hosts on this machine, runs install-k3s on them, says how to look around.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ ! -x node_modules/.bin/tsx ]; then
  echo 'Installing the pinned npm packages (npm ci) ...'
  npm ci --no-fund --no-audit
fi
exec node --import tsx scripts/try.ts
