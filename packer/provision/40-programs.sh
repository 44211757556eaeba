#!/bin/bash
# This project's programs and units, where user data and the units look for them. No unit is enabled: user data does.
set -euo pipefail
echo "PHASE programs: installing the on-host programs and their units"

source="$BAKE_DIR/user_data"
home=/opt/sglang-fleet
library="$home/lib/user_data"

# From empty, so that a file that is gone from the repository is gone from the image.
rm -rf "$library"
install -d -m 0755 "$home" "$home/bin" "$library/agent" /etc/sglang-fleet
install -m 0755 -t "$home/bin" "$source/bin/fleet-agent" "$source/boot.sh"
install -m 0644 -t "$library" "$source/__init__.py" "$source/metrics.py" "$source/node_config.py"
install -m 0644 -t "$library/agent" "$source"/agent/*.py
"$home/venv/bin/python" -m compileall -q --invalidation-mode unchecked-hash "$home/lib"

install -m 0644 -t /etc/systemd/system "$source"/systemd/*.service
for folder in "$source"/systemd/*.service.d; do
  install -D -m 0644 -t "/etc/systemd/system/$(basename "$folder")" "$folder"/*.conf
done
install -D -m 0644 -t /etc/logrotate.d "$source/logrotate.d/sglang-fleet"
install -D -m 0644 -t /etc/tmpfiles.d "$source/tmpfiles.d/sglang-fleet.conf"

# The folders that the services write, with their owners, from the same file that makes them at boot.
systemd-tmpfiles --create /etc/tmpfiles.d/sglang-fleet.conf
