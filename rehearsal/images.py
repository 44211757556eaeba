"""A machine's root folder: what a bake left on its image, or, without a bake, links and copies of local files."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from rehearsal.bake.content import unfold
from rehearsal.cloud_config import CloudConfig, EngineConfig, ImageConfig
from rehearsal.places import REPOSITORY
from rehearsal.service import HostFolder
from user_data.node_config import (
    AGENT_HOME,
    COMPILE_CACHE_DIRECTORY,
    ENGINE_HOME,
    ENGINE_LOG,
    MODELS_DIRECTORY,
    RUN_DIRECTORY,
)

ENGINE_COMMAND = f"{ENGINE_HOME}/venv/bin/sglang"
EMULATOR_HOME = f"{ENGINE_HOME}/emulator"
HOST_PROGRAMS = REPOSITORY / "rehearsal" / "host"
USER_DATA = REPOSITORY / "user_data"
ENGINE_LEDGER = "/var/log/sglang-emulator/ledger.jsonl"
SHIMS = ("systemctl", "poweroff", "shutdown", "reboot")
FOLDERS = (
    "/etc/sglang-fleet",
    "/etc/systemd/system",
    "/root",
    "/tmp",  # noqa: S108 - below the machine's own root
    "/usr/bin",
    "/var/log/sglang-fleet",
    "/var/log/journal",
    f"{AGENT_HOME}/bin",
    f"{AGENT_HOME}/lib",
    RUN_DIRECTORY,
)


class ImageError(Exception):
    """An image cannot be made: something that a bake would put on it is missing here."""


@dataclass(frozen=True)
class _Builder:
    host: HostFolder

    def link(self, absolute: str, target: Path) -> None:
        """A link on the host to something on this laptop."""
        if not target.exists():
            raise ImageError(f"{absolute}: {target} does not exist")
        place = self.host.path(absolute)
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_symlink():
            place.unlink(missing_ok=True)
            place.symlink_to(target)

    def copy(self, absolute: str, source: Path) -> None:
        """A copy on the host of something on this laptop."""
        place = self.host.path(absolute)
        if source.is_dir():
            shutil.copytree(source, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, place)

    def write(self, absolute: str, text: str) -> None:
        """A file of its own, unless the host has it already."""
        place = self.host.path(absolute)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)


def _agent(builder: _Builder, venv: Path) -> None:
    """The on-host programs: what the bake installs from `user_data/`."""
    library = f"{AGENT_HOME}/lib/user_data"
    for name in ("__init__.py", "metrics.py", "node_config.py"):
        builder.copy(f"{library}/{name}", USER_DATA / name)
    builder.copy(f"{library}/agent", USER_DATA / "agent")
    builder.copy(f"{AGENT_HOME}/bin/boot.sh", USER_DATA / "boot.sh")
    builder.copy(f"{AGENT_HOME}/bin/fleet-agent", USER_DATA / "bin" / "fleet-agent")
    for unit in sorted((USER_DATA / "systemd").iterdir()):
        builder.copy(f"/etc/systemd/system/{unit.name}", unit)
    builder.link(f"{AGENT_HOME}/venv", venv)


def _emulator(builder: _Builder, engine: EngineConfig, venv: Path, model: str) -> None:
    """The engine emulator under the engine's name. Its launcher says that it is one."""
    builder.link(ENGINE_COMMAND, HOST_PROGRAMS / "sglang-emulator")
    _emulator_settings(builder, engine)
    builder.link(f"{EMULATOR_HOME}/venv", venv)
    builder.link(f"{EMULATOR_HOME}/source", REPOSITORY)
    folder = builder.host.path(f"{MODELS_DIRECTORY}/{model}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "EMULATED").write_text("No weights: the engine on this image is the rehearsal's emulator.\n")


def _emulator_settings(builder: _Builder, engine: EngineConfig) -> None:
    builder.copy(f"{AGENT_HOME}/lib/pynvml.py", HOST_PROGRAMS / "pynvml.py")  # found before an installed one
    settings = {**engine.emulator, "ledger": str(builder.host.path(ENGINE_LEDGER))}
    builder.write(f"{EMULATOR_HOME}/config.json", json.dumps(settings))


def _broken_engine(builder: _Builder, words: str) -> None:
    """An engine that cannot start, in the place of whichever the image would have."""
    builder.write(f"{ENGINE_HOME}/last-words", f"{words}\n")
    builder.link(ENGINE_COMMAND, HOST_PROGRAMS / "sglang-broken")


def _real_engine(builder: _Builder, engine: EngineConfig, model: str) -> None:
    if engine.program is None or engine.model is None:
        raise ImageError("the real engine needs a program and a model")
    builder.link(ENGINE_COMMAND, engine.program)
    builder.link(f"{MODELS_DIRECTORY}/{model}", engine.model)


def _engine(builder: _Builder, config: CloudConfig, image: ImageConfig) -> None:
    model = image.model or "model"
    for folder in (COMPILE_CACHE_DIRECTORY, str(Path(ENGINE_LOG).parent)):
        builder.host.path(folder).mkdir(parents=True, exist_ok=True)
    if config.engine.broken is not None:  # first: a host keeps the engine that it has
        _broken_engine(builder, config.engine.broken)
    if config.engine.kind == "emulator":
        _emulator(builder, config.engine, config.agent_venv, model)
    else:
        _real_engine(builder, config.engine, model)


@dataclass(frozen=True)
class BakedImage:
    """An image that was made of a build host: its files."""

    content: Path


def _baked(builder: _Builder, config: CloudConfig, image: BakedImage) -> None:
    """What a bake left; only where and how fast an emulated engine is cannot be on an image."""
    if not builder.host.path(AGENT_HOME).exists():
        unfold(image.content, builder.host.root)
    if builder.host.path(EMULATOR_HOME).is_dir():
        _emulator_settings(builder, config.engine)
        if config.engine.broken is not None:
            builder.host.path(ENGINE_COMMAND).unlink()
            _broken_engine(builder, config.engine.broken)


def _put_together(builder: _Builder, config: CloudConfig, image: ImageConfig) -> None:
    _agent(builder, config.router_venv if image.role == "router" else config.agent_venv)
    if image.role == "worker":
        _engine(builder, config, image)


def build_root(host: HostFolder, config: CloudConfig, image: ImageConfig | BakedImage) -> None:
    """Make a machine's root folder from its image. A folder that is there already is completed, not emptied.

    Raises:
        ImageError: a part of the image is missing on this laptop.
        ContentError: an image's files cannot be copied.
    """
    builder = _Builder(host)
    if isinstance(image, BakedImage):
        _baked(builder, config, image)
    else:
        _put_together(builder, config, image)
    for folder in FOLDERS:
        host.path(folder).mkdir(parents=True, exist_ok=True)
    for name in SHIMS:
        builder.link(f"/usr/bin/{name}", HOST_PROGRAMS / "systemctl")
