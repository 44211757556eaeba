"""The variables with which any tool (cdktf, terraform, boto3, fleet) talks to the emulated AWS and to nothing else."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal.places import API_ADDRESS, API_URL

# Credentials, profiles and endpoints of the user's own must not reach any tool of a rehearsal.
REMOVED_PREFIXES = ("AWS_", "TF_VAR_", "TF_CLI_ARGS", "TF_WORKSPACE", "TF_DATA_DIR", "SGLANG_FLEET_")
REMOVED = frozenset({"CDKTF_CONTEXT_JSON"})
# Proxies stay, for a provider that has to be downloaded, but never for the emulated AWS and its hosts. The API's own
# address is listed too, because not every tool understands a block.
NO_PROXY = f"{API_ADDRESS},127.0.0.0/8,localhost"
# Certificates of the machine: a download of the provider may need them.
KEPT = frozenset({"AWS_CA_BUNDLE"})


@dataclass(frozen=True)
class Target:
    """Which deployment the tools work on."""

    environment: Path
    region: str
    overrides: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class ToolEnvironment:
    """What is set, on top of the user's environment less what could reach a real account."""

    values: Mapping[str, str] = field(default_factory=dict)

    def over(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """The complete environment of a tool."""
        return {name: value for name, value in inherited.items() if not removed(name)} | dict(self.values)

    def write(self, path: Path) -> None:
        """Write a file to be sourced by a shell, so that the same tools work by hand."""
        unset = sorted(REMOVED - self.values.keys())
        lines = [
            "# Makes the tools of this shell (cdktf, terraform) talk to the emulated AWS of `fleet rehearse --keep`.",
            "# Only loopback addresses and dummy credentials: nothing here reaches an AWS account.",
            *(f"unset {name}" for name in unset),
            *(f"export {name}={shlex.quote(value)}" for name, value in sorted(self.values.items())),
        ]
        path.write_text("\n".join(lines) + "\n")


def removed(name: str) -> bool:
    """Whether a variable of the user's environment is kept from the tools."""
    return name not in KEPT and (name in REMOVED or name.startswith(REMOVED_PREFIXES))


def context_json(target: Target) -> str:
    """CDKTF_CONTEXT_JSON: the environment file, and the overrides as the values of their keys."""
    return json.dumps({"environment": str(target.environment), **target.overrides}, sort_keys=True)


def tool_environment(target: Target, output: Path, terraform_config: Path, terraform_name: str) -> ToolEnvironment:
    """Build the variables. An IP address as endpoint makes S3 use path style; moto answers STS: nothing is skipped."""
    return ToolEnvironment(
        {
            "AWS_ENDPOINT_URL": API_URL,
            "AWS_ACCESS_KEY_ID": "rehearsal",
            "AWS_SECRET_ACCESS_KEY": "rehearsal",
            "AWS_REGION": target.region,
            "AWS_DEFAULT_REGION": target.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "CDKTF_CONTEXT_JSON": context_json(target),
            "CDKTF_DISABLE_PLUGIN_CACHE_ENV": "1",
            # The registry is not asked for other platforms' hashes; as a variable so that it holds for work by hand.
            "CDKTF_SKIP_PROVIDER_LOCK": "true",
            # The state of the state bucket lies beside the output folder, so work by hand must use the same one.
            "CDKTF_OUTPUT": str(output),
            "CHECKPOINT_DISABLE": "1",
            "CI": "1",
            "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "18,20",
            "NO_PROXY": NO_PROXY,
            "no_proxy": NO_PROXY,
            "TERRAFORM_BINARY_NAME": terraform_name,
            "TF_CLI_CONFIG_FILE": str(terraform_config),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
        }
    )
