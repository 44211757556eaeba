#!/bin/sh
# Print a Python that can make the virtual environment: 3.11 or newer, with the venv and ensurepip modules.
# PYTHON=/path/to/python picks one by hand.
set -eu

usable() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# 3.11 first: it is what the tests run on, and the worker's engine has wheels for it on every platform.
for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
    if usable "$candidate"; then
        command -v "$candidate"
        exit 0
    fi
done

echo "setup: no usable Python (looked for: ${PYTHON:-python3.11 python3.12 python3.13 python3}); 3.11 or newer with venv" \
    "is needed: install it (Debian and Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.11)," \
    "or name one: make setup PYTHON=/path/to/python3.11" >&2
exit 1
