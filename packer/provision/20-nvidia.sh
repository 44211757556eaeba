#!/bin/bash
# The driver is the base image's (AWS's Deep Learning AMI): here it is only looked at, before gigabytes are installed.
set -euo pipefail
echo "PHASE nvidia: checking the base image's NVIDIA driver"

if [ "$GPU_DRIVER_CHECK" != yes ]; then
  echo "nvidia: not checked, because GPU_DRIVER_CHECK is $GPU_DRIVER_CHECK"
  exit 0
fi
cd "$BAKE_DIR"
/usr/bin/python3 -m host.gpu_driver
