#!/bin/bash
# The model's files, pinned to a commit, each compared with the hash that the commit gives it.
set -euo pipefail
echo "PHASE model: downloading the model's files and checking every one"

# An environment that is gone before the image is made: no host talks to the hub.
export PIP_NO_CACHE_DIR="${PIP_NO_CACHE_DIR:-1}"
environment="$BAKE_DIR/model-venv"
trap 'rm -rf "$environment" "$BAKE_DIR/hub-cache" /dev/shm/hub-token' EXIT
/usr/bin/python3 "$BAKE_DIR/venv_from_lock.py" --lock "$BAKE_DIR/Pipfile.lock" model "$environment" || {
  echo "ERROR model: the hub's client cannot be installed; read the lines above" >&2
  exit 1
}

# The client must neither phone home nor write to root's home, nor take a token that it was not given.
export HF_HUB_DISABLE_TELEMETRY=1 HF_HUB_DISABLE_IMPLICIT_TOKEN=1 HF_HUB_DISABLE_PROGRESS_BARS=1
export HF_HOME="$BAKE_DIR/hub-cache" PYTHONDONTWRITEBYTECODE=1
cd "$BAKE_DIR"
"$environment/bin/python" -m host.fetch
sync
