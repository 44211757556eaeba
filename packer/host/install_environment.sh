#!/bin/bash
# install_environment.sh CATEGORY FOLDER: a virtual environment from one category of the lock file, compiled.
set -euo pipefail

# Wheels are installed once: a cache would only double what is written (8 GB of it for an engine).
export PIP_NO_CACHE_DIR="${PIP_NO_CACHE_DIR:-1}"
/usr/bin/python3 "$BAKE_DIR/venv_from_lock.py" --lock "$BAKE_DIR/Pipfile.lock" "$1" "$2" || {
  printf 'ERROR python: %s cannot be installed from the lock file; read the lines above: a hash that differs means make lock, no answer means the subnet does not reach the package index\n' "$1" >&2
  exit 1
}
rm -f "$(dirname "$2")/.$(basename "$2").lock"

# The services' user cannot write here, so what is not compiled now is compiled anew at every start. By hash and unchecked:
# files of an image do not change, and times in the compiled files would make every bake different.
# Some packages bring sources for other Pythons; those stay as they are.
if ! "$2/bin/python" -m compileall -f -q -q -j 0 --invalidation-mode unchecked-hash "$2/lib"; then
  echo "$2: some files are not for this Python and were not compiled"
fi
