"""The Packer on this computer: where it is, which version, and what that version needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packer.errors import PackerMissingError

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKER_VARIABLE: Final = "PACKER"
MINIMUM: Final = (1, 6, 6)  # Debian 12's; earlier ones do not read all of this HCL
PLUGINS_SINCE: Final = (1, 7, 0)  # required_plugins and `packer init`
VERSION_SECONDS: Final = 60.0
_INSTALL: Final = "install Packer (https://developer.hashicorp.com/packer/install), or name it in PACKER"


@dataclass(frozen=True)
class Packer:
    """A program that can run the template."""

    path: Path
    version: tuple[int, ...]

    @property
    def takes_plugins(self) -> bool:
        """Whether its builders come as plugins, which `packer init` fetches, and not with itself."""
        return self.version >= PLUGINS_SINCE

    @property
    def spelled(self) -> str:
        """The version as people write it."""
        return ".".join(map(str, self.version))


def quiet_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The caller's variables, with Packer's colours and its question for newer versions off."""
    return {**environ, "CHECKPOINT_DISABLE": "1", "PACKER_NO_COLOR": "1"}


def find_packer(environ: Mapping[str, str]) -> Packer:
    """Find Packer: the program that PACKER names, or the one on PATH.

    Raises:
        PackerMissingError: there is none, it does not run, or it is too old.
    """
    wanted = environ.get(PACKER_VARIABLE) or "packer"
    found = shutil.which(wanted, path=environ.get("PATH", os.defpath))
    if found is None:
        raise PackerMissingError(f"packer: {wanted!r} is not found; {_INSTALL}")
    version = _version(found, environ)
    if version < MINIMUM:
        need = ".".join(map(str, MINIMUM))
        raise PackerMissingError(f"packer: {found} is version {'.'.join(map(str, version))}; {need} or later is needed")
    return Packer(Path(found).absolute(), version)


def _version(program: str, environ: Mapping[str, str]) -> tuple[int, ...]:
    command = [program, "version"]
    try:
        done = subprocess.run(
            command,
            env=quiet_environment(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=VERSION_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise PackerMissingError(f"packer: {program} does not run ({error}); {_INSTALL}") from None
    said = re.search(r"^Packer v(\d+)\.(\d+)\.(\d+)", done.stdout, re.MULTILINE)
    if said is None:  # cracklib installs a program of this name, too
        raise PackerMissingError(f"packer: {program} is another program of this name; {_INSTALL}")
    return tuple(map(int, said.groups()))
