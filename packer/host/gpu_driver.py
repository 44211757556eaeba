"""`python3 -m host.gpu_driver`: the base image must hold an NVIDIA driver that the engine's CUDA runs on."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import Final

from .report import Fault, StepError, run_step, say

PHASE: Final = "nvidia"
# CUDA 13, which SGLang's wheels are built with since 0.5.20, runs on R580 and newer ("CUDA Toolkit, Driver, and
# Architecture Support", NVIDIA's data centre driver documentation).
LEAST: Final = 580
REMEDY: Final = "take a newer base image: AWS's Deep Learning Base AMI with the open NVIDIA driver, for Ubuntu 24.04"


def branch_of(version: str) -> int:
    """The driver's branch, the number before the first dot.

    Raises:
        StepError: it is no version.
    """
    match = re.match(r"(\d+)\.\d", version)
    if match is None:
        raise StepError(Fault(f"the NVIDIA module says {version!r} of its version", REMEDY))
    return int(match[1])


def check(version: str | None) -> str:
    """Accept the version of the driver's module, or say why not.

    Raises:
        StepError: there is none, or it is too old.
    """
    if version is None:
        raise StepError(Fault("the base image has no NVIDIA driver (modinfo nvidia finds no module)", REMEDY))
    if branch_of(version) < LEAST:
        raise StepError(Fault(f"the NVIDIA driver is {version}, and CUDA 13 needs R{LEAST} or newer", REMEDY))
    return version


def installed() -> str | None:
    """Version of the module for the running kernel. It is read from the file: a bake host needs no GPU."""
    if shutil.which("modinfo") is None:
        return None
    done = subprocess.run(["modinfo", "--field", "version", "nvidia"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None if done.returncode == 0 else None


if __name__ == "__main__":
    sys.exit(run_step(PHASE, lambda: say(f"NVIDIA driver {check(installed())}")))
