#!/bin/bash
# SGLang in an environment of its own, so that its pins bind nothing else.
set -euo pipefail
echo "PHASE engine: installing SGLang"

install -d -m 0755 /opt/sglang
if [ "$ENGINE_INSTALL" != lock ]; then
  echo "engine: REPLACED by the content of $ENGINE_INSTALL: this image does not hold SGLang"
  [ -d "$ENGINE_INSTALL" ] || {
    printf 'ERROR engine: ENGINE_INSTALL is %s, which is no folder on the bake host; correct the site file\n' "$ENGINE_INSTALL" >&2
    exit 1
  }
  cp -a --no-preserve=ownership "$ENGINE_INSTALL/." /opt/sglang/
  exit 0
fi

category="$(/usr/bin/python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["engine_category"])' "$BAKE_DIR/bake.json")"
"$BAKE_DIR/host/install_environment.sh" "$category" /opt/sglang/venv
