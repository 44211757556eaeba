#!/bin/bash
# Last step of cloud-init: boot.sh UNIT...   Installed as /opt/sglang-fleet/bin/boot.sh.
#
# A host that cannot serve leaves where AWS sees it: powered off, its Auto Scaling group replaces it (EC2 health check).
# The reason goes to the console (`aws ec2 get-console-output`), cloud-init's log and agent.log, which CloudWatch gets.
set -euo pipefail

root="${SGLANG_FLEET_ROOT:-}"
log_directory="$root/var/log/sglang-fleet"

leave() {
  printf 'sglang-fleet: %s; powering off so that the host is replaced\n' "$1" | tee -a "$log_directory/agent.log" >&2
  systemctl poweroff
  exit 1
}

mkdir -p "$log_directory"
if [ "$#" -eq 0 ]; then
  leave 'boot.sh was given no unit to start; name the units in the user data'
fi
if ! "$root/opt/sglang-fleet/bin/fleet-agent" check 2>&1 | tee -a "$log_directory/agent.log"; then
  leave 'fleet-agent check failed (its lines are above)'
fi
if ! systemctl enable --now "$@"; then
  leave "systemctl could not start $*"
fi
