#!/bin/bash
# What is on the image: every package and every file of the model, with hashes.
set -euo pipefail
echo "PHASE sbom: listing packages and model files"

export PYTHONDONTWRITEBYTECODE=1
cd "$BAKE_DIR"
/usr/bin/python3 -m host.sbom /opt/sglang-fleet/sbom.cdx.json
