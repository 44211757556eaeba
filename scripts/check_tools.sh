#!/bin/sh
# Say which of the tools that set-up does not install are missing, each with its remedy. Exit 1 when one is.
set -eu
status=0

missing() {
    echo "setup: $1 is missing: $2" >&2
    status=1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

if ! have node; then
    missing "Node.js" "cdktf needs 20.9 or newer; install it from nodejs.org, or with nvm: nvm install 22"
elif ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 9) ? 0 : 1)'; then
    missing "a recent Node.js" "this is $(node --version), cdktf needs 20.9 or newer; with nvm: nvm install 22"
fi
have npm || missing "npm" "it comes with Node.js; Debian and Ubuntu: apt install npm"

# The same choice that cdktf makes: TERRAFORM_BINARY_NAME when set, else either program.
if [ -n "${TERRAFORM_BINARY_NAME:-}" ]; then
    have "$TERRAFORM_BINARY_NAME" ||
        missing "$TERRAFORM_BINARY_NAME" "TERRAFORM_BINARY_NAME names it; install it or unset the variable"
elif ! have terraform && ! have tofu; then
    missing "Terraform or OpenTofu" "1.10 or newer is needed (S3 lock files); see opentofu.org or developer.hashicorp.com/terraform"
fi
exit "$status"
