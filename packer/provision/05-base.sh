#!/bin/bash
# Packages of the distribution that later steps and the hosts need, and the account that everything runs as.
set -euo pipefail
echo "PHASE base: waiting for cloud-init, then Debian packages and the service account"

fail() {
  printf 'ERROR base: %s\n' "$1" >&2
  exit 1
}

# Until cloud-init is done, apt's sources and the disk's size may still change. Its exit status says 2 for "done, with
# warnings", which is no reason to stop.
if command -v cloud-init >/dev/null; then
  cloud-init status --wait >/dev/null || true
fi

# An image is brought up to date by baking it again. On a host, an unattended upgrade competes with the engine, and one of
# the NVIDIA driver leaves the running module and the libraries on the disk with different versions.
systemctl --root=/ --quiet mask apt-daily.timer apt-daily-upgrade.timer

apt_get() {
  # The lock: a first boot's unattended upgrade may hold it for minutes.
  apt-get -q -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@"
}

# Without this setting apt-get reports an unreachable archive as a warning.
apt_get -o APT::Update::Error-Mode=any update ||
  fail "the package lists cannot be fetched; check that the bake's subnet reaches the Internet (bake.subnet_id)"
packages=(ca-certificates curl gnupg logrotate python3-venv)
if [ "$BAKE_ROLE" = worker ] && [ "$ENGINE_INSTALL" = lock ]; then
  # Triton compiles its launcher at run time (a C compiler, Python.h), FlashInfer its kernels (C++, ninja), and SGLang's
  # kernels are linked against libnuma.
  packages+=(g++ gcc libnuma1 ninja-build python3-dev)
fi
# What the base image has stays as it is: its id stands for it, and the fewer packages come from a moving archive, the
# likelier two bakes are the same.
apt_get install --no-install-recommends --no-upgrade "${packages[@]}" ||
  fail "apt-get cannot install ${packages[*]}; read the lines above"

install -D -m 0644 -t /etc/sysusers.d "$BAKE_DIR/user_data/sysusers.d/sglang-fleet.conf"
systemd-sysusers /etc/sysusers.d/sglang-fleet.conf
