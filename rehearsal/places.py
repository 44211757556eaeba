"""Where everything of a rehearsal lives: loopback addresses, ports and the work folder."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

# Any process on Linux may bind any address of 127.0.0.0/8. A second rehearsal on the same computer needs a block of its
# own, such as 127.64.128.0/18.
NETWORK_VARIABLE = "SGLANG_FLEET_REHEARSAL_NETWORK"
DEFAULT_NETWORK = IPv4Network("127.64.0.0/16")


def _network() -> IPv4Network:
    """The block this process's rehearsal lives in; ends the process with status 2 when the variable holds none."""
    text = os.environ.get(NETWORK_VARIABLE, str(DEFAULT_NETWORK))
    try:
        network = IPv4Network(text)
    except ValueError:
        network = None
    if network is None or not network.is_loopback or not 16 <= network.prefixlen <= 20:  # noqa: PLR2004 - a VPC's sizes
        sys.stderr.write(f"{NETWORK_VARIABLE}: '{text}' is not a loopback block of /16 to /20; use 127.64.128.0/18\n")
        raise SystemExit(2)
    return network


NETWORK = _network()
# Subnets are cut from the start of the block, so its last address can never be a host's.
API_ADDRESS = str(NETWORK[-2])
API_PORT = 4566
API_URL = f"http://{API_ADDRESS}:{API_PORT}"
CONTROL_PORT = 4567
CONTROL_URL = f"http://{API_ADDRESS}:{CONTROL_PORT}"
HUB_PORT = 4568
HUB_URL = f"http://{API_ADDRESS}:{HUB_PORT}"
METADATA_PORT = 1338

ACCOUNT_ID = "123456789012"  # moto's default account

REPOSITORY = Path(__file__).resolve().parent.parent


def metadata_url(private_ip: str) -> str:
    """Base URL of the metadata service of the machine with this private address."""
    return f"http://{private_ip}:{METADATA_PORT}"


@dataclass(frozen=True)
class WorkFolder:
    """The git-ignored folder that holds what a rehearsal writes."""

    root: Path

    @property
    def environment_file(self) -> Path:
        """Shell-sourceable variables with which any tool talks to the emulated AWS."""
        return self.root / "env"

    @property
    def cloud_config(self) -> Path:
        """What the emulated cloud is asked to hold (`CloudConfig` as JSON)."""
        return self.root / "cloud.json"

    @property
    def cloud_pid(self) -> Path:
        """Process id of the emulated cloud."""
        return self.root / "cloud.pid"

    @property
    def terraform_config(self) -> Path:
        """Terraform CLI configuration written for this machine."""
        return self.root / "terraform.tfrc"

    @property
    def provider_mirror(self) -> Path:
        """Folder of links that Terraform and OpenTofu accept as a provider mirror."""
        return self.root / "providers"

    @property
    def plugin_cache(self) -> Path:
        """Where Terraform keeps a provider that it had to download."""
        return self.root.parent / ".cache" / "terraform-plugins"

    @property
    def picture(self) -> Path:
        """The dashboard of the last rehearsal that played scenarios."""
        return self.root / "dashboard.png"

    @property
    def machines(self) -> Path:
        """One root folder per emulated instance."""
        return self.root / "machines"

    @property
    def images(self) -> Path:
        """Content of the images that were baked, one folder for each."""
        return self.root / "images"

    @property
    def bakery(self) -> Path:
        """What bakes are rehearsed with: model, packages, engine, site file."""
        return self.root / "bakery"

    @property
    def bakes(self) -> Path:
        """Logs, manifests and SBOMs of `fleet bake`."""
        return self.root / "bakes"

    @property
    def build_hosts(self) -> Path:
        """What build hosts need besides their root folders."""
        return self.root / "build-hosts"

    @property
    def logs(self) -> Path:
        """One log file per step."""
        return self.root / "logs"

    @property
    def cdktf_output(self) -> Path:
        """Synthesized stacks and Terraform's working folders."""
        return self.root / "cdktf.out"

    def log(self, step: str) -> Path:
        """Log file of one step."""
        return self.logs / f"{step}.log"

    def create(self) -> None:
        """Make the folders that every step expects."""
        for folder in (self.root, self.machines, self.logs):
            folder.mkdir(parents=True, exist_ok=True)


def default_work_folder() -> WorkFolder:
    """`.rehearsal` in the repository's root; one of its own for a network of its own."""
    suffix = "" if NETWORK == DEFAULT_NETWORK else f"-{NETWORK.network_address}"
    return WorkFolder(REPOSITORY / f".rehearsal{suffix}")
