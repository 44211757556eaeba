"""The one place that runs the cdktf command-line tool."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

from rehearsal.places import REPOSITORY
from rehearsal.tools import find_cdktf
from settings.context import CONTEXT_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# `cdktf deploy` otherwise asks the public registry for the hashes of other platforms; the provider is pinned exactly.
NO_REGISTRY_LOCK = "--skip-provider-lock"


class CdktfError(Exception):
    """The tool ended with a failure that it has already described on standard error."""


def run(verb: str, stacks: Sequence[str], output: Path, overrides: Mapping[str, object], *, ask: bool) -> None:
    """Run `cdktf VERB STACKS…` with these overrides, its output going straight to the terminal.

    Raises:
        MissingToolError: the tool is not installed.
        CdktfError: it failed.
    """
    command = [str(find_cdktf(REPOSITORY)), verb, *stacks, "--output", str(output.resolve()), NO_REGISTRY_LOCK]
    if not ask:
        command.append("--auto-approve")
    result = subprocess.run(command, cwd=REPOSITORY, env=_environment(overrides), check=False)
    if result.returncode:
        raise CdktfError(
            f"`cdktf {verb} {' '.join(stacks)}` failed (exit code {result.returncode}); its output is above"
        )


def _environment(overrides: Mapping[str, object]) -> dict[str, str]:
    """The user's variables, with the overrides in the context."""
    context = json.loads(os.environ.get(CONTEXT_VARIABLE) or "{}") | dict(overrides)
    return {**os.environ, CONTEXT_VARIABLE: json.dumps(context)}
