#!/bin/bash
# A volume of its own for the weights: the volume initialization rate, and its price, then apply to them alone.
set -euo pipefail
echo "PHASE model-volume: preparing the place of the model's files"

models=/opt/sglang/models
install -d -m 0755 "$models"
if [ "$MODEL_DEVICE" = none ]; then
  echo "model-volume: no volume, the model's files go to the root volume"
  exit 0
fi

cd "$BAKE_DIR"
read -r action device <<<"$(/usr/bin/python3 -m host.model_disk "$MODEL_DEVICE")"
[ -n "${device:-}" ] || exit 1 # host.model_disk has said why
if [ "$action" = format ]; then
  # Hosts mount it read-only: no reserve for root, few inodes (weights are large), and all of them written now, because
  # the kernel's later initialization never happens on a read-only mount.
  mkfs.ext4 -q -m 0 -T largefile4 -E lazy_itable_init=0,lazy_journal_init=0 -L sglang-models "$device"
fi

# nofail: a host whose volume is missing must boot, so that fleet-agent check can say so and the group can replace it.
line='LABEL=sglang-models /opt/sglang/models ext4 ro,noatime,nofail,x-systemd.device-timeout=60 0 2'
grep -qxF "$line" /etc/fstab || echo "$line" >>/etc/fstab
mountpoint -q "$models" || mount -t ext4 -o rw,noatime "$device" "$models"
