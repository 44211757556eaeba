"""The one place that runs Terraform (or OpenTofu): init, plan and show, never with a lock and never apply."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plans.terraform_json import BadPlanError
from rehearsal.places import REPOSITORY
from rehearsal.tools import PROVIDER_VERSION

PLAN_FILE = "plan.bin"
TIMEOUT_SECONDS = 900.0
PLUGIN_CACHE = REPOSITORY / ".cache" / "terraform-plugins"
# Of the operator's own: they would add arguments, or move what belongs into the scratch folder.
REMOVED = ("TF_CLI_ARGS", "TF_DATA_DIR", "TF_WORKSPACE", "TF_LOG")
VALUES = re.compile(r"^[ │]*[├│][ ─].* (is|will be known) .*$\n?", re.MULTILINE)  # of the names in a failed condition
BOX = re.compile(r"^[\s│╷╵]+", re.MULTILINE)
ONE_ERROR = re.compile(r"^Error: (.*?)(?=^Error: |\Z)", re.MULTILINE | re.DOTALL)
# Parts of a message that only help the author of the configuration: the place in the file, and its lines.
PLACE = re.compile(r"^(with|on) .*? (line \d+)?.*?:?$|^\d+: .*$|^├.*$|^The check ran .*$|^│.*$", re.MULTILINE)
LONGEST_MESSAGE = 700


class TerraformError(Exception):
    """Terraform could not do it; the message is its own, on one line."""


@dataclass(frozen=True)
class Terraform:
    """A program and the variables that it runs with."""

    program: Path
    environment: Mapping[str, str]

    @classmethod
    def of(cls, program: Path, inherited: Mapping[str, str]) -> Terraform:
        """Terraform with the operator's variables; a provider that has to be downloaded is kept for the next time."""
        kept = {name: value for name, value in inherited.items() if not name.startswith(REMOVED)}
        quiet = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}
        if "TF_CLI_CONFIG_FILE" not in kept and "TF_PLUGIN_CACHE_DIR" not in kept:
            PLUGIN_CACHE.mkdir(parents=True, exist_ok=True)
            quiet |= {"TF_PLUGIN_CACHE_DIR": str(PLUGIN_CACHE), "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE": "1"}
        return cls(program, {**kept, **quiet})

    def init(self, folder: Path) -> None:
        """Get the provider and open the backend for reading. One at a time: the plugin cache takes no two.

        Raises:
            TerraformError: with Terraform's reason.
        """
        self._run(folder, "init", "-input=false", "-no-color", "-backend=true")

    def plan(self, folder: Path, *, destroy: bool = False) -> bytes:
        """Plan a stack and return the plan as JSON. No lock is taken: that would write to the state bucket.

        Raises:
            TerraformError: with Terraform's reason.
        """
        extra = ("-destroy",) if destroy else ()
        self._run(folder, "plan", "-input=false", "-no-color", "-lock=false", f"-out={PLAN_FILE}", *extra)
        return self._run(folder, "show", "-json", "-no-color", PLAN_FILE)

    def show(self, file: Path, scratch: Path) -> bytes:
        """Return a saved plan as JSON; any folder with the provider will do.

        Raises:
            BadPlanError: Terraform cannot read it: damaged, or of another version of the tool.
            TerraformError: the provider cannot be had.
        """
        needed = {"aws": {"source": "hashicorp/aws", "version": PROVIDER_VERSION}}
        (scratch / "main.tf.json").write_text(json.dumps({"terraform": {"required_providers": needed}}))
        self.init(scratch)
        try:
            return self._run(scratch, "show", "-json", "-no-color", str(file.resolve()))
        except TerraformError as error:
            raise BadPlanError(f"{file}: {self.program.name} cannot read this plan file: {error}") from None

    def _run(self, folder: Path, *arguments: str) -> bytes:
        try:
            done = subprocess.run(
                [str(self.program), *arguments],
                cwd=folder,
                env=dict(self.environment),
                capture_output=True,
                check=False,
                stdin=subprocess.DEVNULL,
                timeout=TIMEOUT_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise TerraformError(f"{self.program.name} {arguments[0]} took over {TIMEOUT_SECONDS:g} s") from None
        except OSError as error:
            raise TerraformError(f"{self.program} does not run ({error.strerror}); install it again") from None
        if done.returncode:
            raise TerraformError(first_error(done.stderr.decode(errors="replace")))
        return done.stdout


def first_error(text: str) -> str:
    """The first error of Terraform's output as one line, without the place in the synthesized file."""
    bare = BOX.sub("", VALUES.sub("", text))
    errors = ONE_ERROR.findall(bare)
    message = errors[0] if errors else bare
    sentence = " ".join(PLACE.sub("", message).split())
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    shown = sentence if len(sentence) <= LONGEST_MESSAGE else f"{sentence[: LONGEST_MESSAGE - 1]}…"
    return f"{shown}{more}" or "it failed without a word"
