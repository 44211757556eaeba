#!/bin/bash
# What this one host leaves behind and no host of the image may inherit: identity, history, logs, caches.
set -euo pipefail
echo "PHASE clean: removing caches, logs, keys and histories"

apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache
rm -f /dev/shm/hub-token

shopt -s nullglob dotglob
for home in /root /home/*; do
  rm -rf "$home"/.cache "$home"/.*history "$home"/.*_history "$home"/.lesshst "$home"/.wget-hsts "$home"/.viminfo \
    "$home"/.pki "$home"/.gnupg "$home"/.config/pip "$home"/.sudo_as_admin_successful "$home"/.ssh/known_hosts*
done

# cloud-init makes new host keys on every new instance, and takes this one for known unless it forgets it. Whoever is
# logged in to the bake host stays so: sshd holds its connections.
rm -f /etc/ssh/ssh_host_*
if command -v cloud-init >/dev/null; then
  cloud-init clean --logs --seed
fi
# Empty, not missing or "uninitialized": systemd would call the next boot the first and enable units by its presets.
: >/etc/machine-id
[ -L /var/lib/dbus/machine-id ] || rm -f /var/lib/dbus/machine-id
rm -f /var/lib/systemd/random-seed

rm -rf /var/log/journal/* /var/log/apt/* /var/log/unattended-upgrades/* /var/log/amazon/* /var/crash/*
find /var/log -type f \( -name '*.gz' -o -name '*.[0-9]' -o -name '*.old' \) -delete
find /var/log -type f -exec truncate --size=0 {} +
rm -f /etc/passwd- /etc/shadow- /etc/group- /etc/gshadow- /etc/subuid- /etc/subgid-

# All but what is in use: this bake's folder, Packer's copy of the running script, and services' own folders.
find /tmp /var/tmp -mindepth 1 -maxdepth 1 ! -path "$BAKE_DIR" ! -name 'script_*.sh' ! -name 'systemd-private-*' \
  -exec rm -rf {} +
