#!/bin/bash
# The Amazon CloudWatch agent, as "Verifying the signature of the CloudWatch agent package" (CloudWatch user guide) asks.
set -euo pipefail
echo "PHASE cloudwatch-agent: downloading it, checking its signature, installing it"

fail() {
  printf 'ERROR cloudwatch-agent: %s\n' "$1" >&2
  exit 1
}

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
package="$folder/amazon-cloudwatch-agent.deb"

download() {
  curl --fail --silent --show-error --location --retry 5 --retry-connrefused --connect-timeout 20 --output "$2" "$1" ||
    fail "$1 cannot be fetched; check that the bake's subnet reaches the Internet (bake.subnet_id)"
}
download "$CLOUDWATCH_AGENT_URL/amazon-cloudwatch-agent.deb" "$package"
download "$CLOUDWATCH_AGENT_URL/amazon-cloudwatch-agent.deb.sig" "$package.sig"
download "$CLOUDWATCH_AGENT_KEY_URL" "$folder/key.gpg"

# A keyring of its own: the key is trusted for this one file, and nothing of it stays on the image.
export GNUPGHOME="$folder/keyring"
mkdir -m 0700 "$GNUPGHOME"
gpg --batch --quiet --import "$folder/key.gpg" ||
  fail "$CLOUDWATCH_AGENT_KEY_URL holds no key; a proxy has answered in AWS's place, or the address is wrong"
fingerprints="$(gpg --batch --with-colons --list-keys | awk -F: '$1 == "pub" { wanted = 1 } $1 == "fpr" && wanted { print $10; wanted = 0 }')"
[ "$fingerprints" = "$CLOUDWATCH_AGENT_KEY_FINGERPRINT" ] ||
  fail "the key's fingerprint is ${fingerprints//$'\n'/, }, not $CLOUDWATCH_AGENT_KEY_FINGERPRINT; the download was tampered with, or AWS has a new key (see its user guide)"
gpg --batch --quiet --verify "$package.sig" "$package" ||
  fail "the package is not signed with AWS's key; the download was tampered with: bake again from another network"
gpgconf --kill all

dpkg --install "$package" || fail "the package cannot be installed; read the lines above"

# The package enables nothing, and user data starts only this project's units. Without a configuration, which user data
# writes, the drop-in of 40-programs.sh keeps it from starting.
systemctl --root=/ --quiet enable amazon-cloudwatch-agent.service ||
  fail "the package has no unit amazon-cloudwatch-agent.service; AWS has changed it: enable what starts it now"
