#!/bin/bash
# Is this an image that a fleet can be made from? What fails here never reaches one.
set -euo pipefail
echo "PHASE validate: checking the finished image"

export PYTHONDONTWRITEBYTECODE=1
cd "$BAKE_DIR"
/usr/bin/python3 -m host.validate

cd /
rm -rf "$BAKE_DIR" /dev/shm/hub-token
sync
