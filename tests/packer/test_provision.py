"""The provision scripts, as far as they can be looked at without running them (the bake rehearsal does that)."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from packer.transcript import Transcript
from tests.packer.test_template import ENVIRONMENT

FOLDER = Path(__file__).resolve().parents[2] / "packer" / "provision"
SCRIPTS = sorted(FOLDER.glob("*.sh"))
PHASES = (
    "base",
    "cloudwatch-agent",
    "nvidia",
    "python",
    "programs",
    "engine",
    "model-volume",
    "model",
    "sbom",
    "clean",
    "validate",
)
# What the template adds to the environment that it is given.
ADDED = {"BAKE_KEY_PAIR"}

each_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)


def test_phases_in_their_order() -> None:
    announced = [re.search(r'^echo "(PHASE .+)"$', script.read_text(), re.MULTILINE) for script in SCRIPTS]
    transcript = Transcript()
    begun = [transcript.feed(f"    amazon-ebs.image: {match[1]}") for match in announced if match]
    assert tuple(phase.name for phase in begun if phase) == PHASES


@each_script
def test_says_its_phase_before_it_does_anything(script: Path) -> None:
    lines = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "set -euo pipefail"
    assert lines[1].startswith('echo "PHASE ')


@each_script
def test_is_short(script: Path) -> None:
    assert len(script.read_text().splitlines()) < 60


@each_script
def test_is_bash(script: Path) -> None:
    done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@each_script
def test_reads_only_variables_that_the_template_demands(script: Path) -> None:
    text = script.read_text()
    read = set(re.findall(r"\$\{?([A-Z][A-Z_]+)", text))
    own = set(re.findall(r"(?:^|\s)([A-Z][A-Z_]+)=", text))
    assert read - own <= {*ENVIRONMENT, *ADDED}


@each_script
def test_talks_to_no_systemd(script: Path) -> None:
    """None runs in a rehearsal, and on a bake host nothing of ours may start."""
    calls = re.findall(r"\bsystemctl\b.*", re.sub(r"^\s*#.*$", "", script.read_text(), flags=re.MULTILINE))
    assert all(call.startswith("systemctl --root=/ ") for call in calls)


def test_every_failure_of_a_script_has_a_remedy() -> None:
    for script in SCRIPTS:
        sentences = re.findall(r'(?:fail "|ERROR [\w-]+: )(.+)', script.read_text())
        for sentence in sentences:
            assert "; " in sentence or sentence.startswith("%s"), f"{script.name}: {sentence}"
