#!/bin/bash
# The environment of the on-host programs (and, on the router, of the router), exactly as in the lock file, with hashes.
set -euo pipefail
echo "PHASE python: installing the on-host programs' Python packages from the lock file"

case "$BAKE_ROLE" in
  router) category=router ;;
  worker) category=agent ;;
  *)
    printf 'ERROR python: BAKE_ROLE is %s; it must be router or worker\n' "$BAKE_ROLE" >&2
    exit 1
    ;;
esac

install -d -m 0755 /opt/sglang-fleet
"$BAKE_DIR/host/install_environment.sh" "$category" /opt/sglang-fleet/venv
