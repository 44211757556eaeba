"""Puts together what bakes are rehearsed with: a model, a hub's token, packages, an engine, and the site file."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from packer.targets import needs_of
from rehearsal.bake import agent_package
from rehearsal.bake.agent_package import SignedPackage, make_agent_package
from rehearsal.bake.installers import host_variables, named_paths, pip_settings
from rehearsal.bake.requirements import ssh_port
from rehearsal.bake.stand_in_engine import make_engine
from rehearsal.bake.weights import write_model
from rehearsal.cloud_config import MODEL_DEVICE, BaseImageConfig, BuildConfig, HubConfig, HubModel
from rehearsal.places import API_URL, HUB_PORT, HUB_URL, NETWORK, WorkFolder
from settings.model import Settings

ENGINE_ON_HOST = "/srv/rehearsal-engine"
TOKEN_PARAMETER = "/rehearsal/hub-token"  # noqa: S105 - the name of a parameter
OPEN_MODELS = ("rehearsal/one", "rehearsal/two", "rehearsal/three")
POLL_SECONDS = 1
INTERRUPT_SECONDS, SWEEP_SECONDS = 60, 30


@dataclass(frozen=True)
class Bakery:
    """What a rehearsal's bakes are made with."""

    config: BuildConfig
    site: Path
    """What `fleet bake --site` is given."""
    token: str
    """Made up; nothing that is baked may contain it."""
    model: Path
    """Folder of the model as the hub has it."""


def bake_block() -> IPv4Network:
    """The subnet of build hosts: the ninth sixteenth of the block, where no deployment's subnets are.

    (Private subnets are cut from the first sixteenths, public ones from the last: settings/subnets.py.)
    """
    return list(NETWORK.subnets(prefixlen_diff=4))[8]


def _hub(settings: Settings, work: WorkFolder, model: Path) -> HubConfig:
    """Every pool's model, gated so that the token is needed; and some that are open to everybody."""
    ids = dict.fromkeys(pool.model_id for pool in settings.workers)
    gated = tuple(HubModel(id=name, folder=model, gated=True) for name in ids)
    models = (*gated, *(HubModel(id=name, folder=model) for name in OPEN_MODELS))
    token = f"hf_{secrets.token_hex(17)}"
    return HubConfig(port=HUB_PORT, models=models, token=token, packages=work.bakery / "packages")


def _bases(settings: Settings) -> tuple[BaseImageConfig, ...]:
    """The public images that the settings' bakes start from, once each."""
    wanted = {
        settings.bake.base_parameter(need.role, need.architecture): need.architecture for need in needs_of(settings)
    }
    return tuple(BaseImageConfig(parameter=name, architecture=architecture) for name, architecture in wanted.items())


def _site(build: BuildConfig, package: SignedPackage, work: WorkFolder) -> dict[str, object]:
    return {
        "endpoint_ec2": API_URL,
        "ssh_username": build.user,
        "ssh_port": build.port,
        "ssh_interface": "private_ip",
        "ssh_cidrs": ["127.0.0.0/8"],
        "hub_url": HUB_URL,
        "cloudwatch_agent_url": f"{HUB_URL}/packages",
        "cloudwatch_agent_key_url": f"{HUB_URL}/packages/{agent_package.KEY}",
        "cloudwatch_agent_key_fingerprint": package.fingerprint,
        "model_device": MODEL_DEVICE,
        "gpu_driver_check": False,
        "engine_install": ENGINE_ON_HOST,
        "poll_seconds": POLL_SECONDS,
        "bake_folder": str(work.bakes),
        "interrupt_seconds": INTERRUPT_SECONDS,
        "sweep_seconds": SWEEP_SECONDS,
    }


def _architecture() -> str:
    """Of this computer's packages, as dpkg spells it."""
    done = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def prepare_bakery(settings: Settings, work: WorkFolder) -> Bakery:
    """Make everything below the work folder.

    Raises:
        subprocess.CalledProcessError: pip, dpkg or gpg failed.
    """
    model, engine = work.bakery / "model", work.bakery / "engine"
    write_model(model)
    make_engine(engine)
    package = make_agent_package(work.bakery / "packages", _architecture())
    variables = host_variables(os.environ, pip_settings())
    hub = _hub(settings, work, model)
    build = BuildConfig(
        block=bake_block(),
        port=ssh_port(),
        environment=variables,
        read_only={path: path for path in named_paths(variables.values())} | {ENGINE_ON_HOST: str(engine)},
        bases=_bases(settings),
        hub=hub,
        token_parameter=TOKEN_PARAMETER,
    )
    site = work.bakery / "site.json"
    site.write_text(json.dumps(_site(build, package, work), indent=1))
    return Bakery(build, site, hub.token, model)
