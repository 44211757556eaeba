"""Bakes with the real Packer: the scenario `bake` in full but for its end, and everything that may go wrong.

The scenario is kept; bakes that must fail then go on in its cloud. Those of them that need an engine's image start from
the one that was just baked, so that only what they are about is done anew.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub")

from rehearsal import leftovers
from rehearsal.bake.evidence import digest, files_below
from rehearsal.bake.preparation import OPEN_MODELS
from rehearsal.bake.requirements import check_all
from rehearsal.orders import AwsDenied, HubFault, NextBuildHosts
from rehearsal.tools import MissingToolError
from tests.rehearsal.bake.kept import WORK, Kept, Outcome, Running, rehearse

pytestmark = pytest.mark.slow

WEIGHTS = "model-00002-of-00002.safetensors"
CORRUPT, CUT, TOO_LARGE = OPEN_MODELS
STAGGER_SECONDS = 1.1  # the names of logs and images carry the second in which a bake began
VARYING: dict[str, str] = {}
"""Files that two bakes of one key write differently: path → reason. None in a rehearsal."""


@dataclass(frozen=True)
class Bakes:
    """How they ended, what was then there besides, and the two images of one key."""

    outcomes: dict[str, Outcome]
    left: tuple[leftovers.Resource, ...]
    equals: tuple[str, str]


def _staggered(starts: dict[str, Callable[[], Running]]) -> dict[str, Running]:
    running = {}
    for name, start in starts.items():
        running[name] = start()
        time.sleep(STAGGER_SECONDS)
    return running


def _ended(running: dict[str, Running]) -> dict[str, Outcome]:
    """Read all at once: one whose pipe is full would stand still."""
    with ThreadPoolExecutor(len(running)) as pool:
        return dict(zip(running, pool.map(Running.outcome, running.values()), strict=True))


@pytest.fixture(scope="module")
def kept() -> Iterator[Kept]:
    """The scenario, up to its checks. It is stopped, not destroyed: `fleet rehearse --scenario bake` does that too."""
    WORK.create()
    try:
        check_all(os.environ, WORK.root)
    except MissingToolError as error:
        pytest.skip(str(error))
    done = rehearse("--scenario", "bake", "--keep", "--json", "--requests", "2")
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        yield Kept(json.loads(done.stdout), done.stderr)
    finally:
        assert rehearse("--down").returncode == 0


def test_every_check_of_the_scenario_passed(kept: Kept) -> None:
    (scenario,) = (item for item in kept.result["scenarios"] if item["scenario"] == "bake")
    assert [check for check in scenario["checks"] if not check["passed"]] == []
    names = {check["name"] for check in scenario["checks"]}
    assert {"90-validate.sh passed", "its AWS calls that change something"} <= names


@pytest.fixture(scope="module")
def bakes(kept: Kept) -> Bakes:
    """All bakes that take long, side by side: they wait for each other's processors only."""
    before = kept.inventory()
    base = kept.site("baked", base_images={"worker": kept.image("workers-default"), "router": kept.image("router")})
    key = "0" * 40
    another_key = kept.site("another-key", cloudwatch_agent_key_fingerprint=key)
    first = kept.image("router")
    kept.order(NextBuildHosts(small={"/opt/sglang/models": "64k"}))
    together = _staggered(
        {
            "disk": lambda: kept.start("--only", "default", "--set", f"model_id={TOO_LARGE}", site=base),
            "step": lambda: kept.start("--only", "router", "--force", site=another_key),
            "again": lambda: kept.start("--only", "router", "--force"),
            "interrupted": lambda: kept.start("--only", "router", "--force"),
        }
    )
    together["interrupted"].until(r"python: installing")
    together["interrupted"].interrupt()
    outcomes = _ended(together)
    again = kept.image("router")
    kept.order(NextBuildHosts(small={}))
    kept.order(HubFault(corrupt=(f"{CORRUPT}/{WEIGHTS}",), cut=(f"{CUT}/{WEIGHTS}",)))
    kept.order(AwsDenied(actions=("ec2:CreateImage",)))
    outcomes |= _ended(
        _staggered(
            {
                "corrupt": lambda: kept.start("--only", "default", "--set", f"model_id={CORRUPT}", site=base),
                "cut": lambda: kept.start("--only", "default", "--set", f"model_id={CUT}", site=base),
                "denied": lambda: kept.start("--only", "router", "--force", site=base),
            }
        )
    )
    kept.order(HubFault())
    kept.order(AwsDenied(actions=()))
    return Bakes(outcomes, kept.left_since(before), (first, again))


@dataclass(frozen=True)
class Failure:
    """How a bake must end."""

    status: int
    phase: str
    sentence: str
    remedy: str


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("disk", Failure(1, "model", f"no space for {TOO_LARGE}", "remedy: raise model_volume.size_gib of the pool")),
        ("step", Failure(1, "cloudwatch-agent", "the key's fingerprint is", "remedy: the download was tampered with")),
        ("interrupted", Failure(130, "python", "interrupted", "")),
        ("corrupt", Failure(1, "model", f"{WEIGHTS}: SHA-256", "remedy: bake again; if it stays, a cache")),
        ("cut", Failure(1, "model", "", "remedy:")),
        (
            "denied",
            Failure(1, "image", "not authorized to perform: ec2:CreateImage", "remedy: allow ec2:CreateImage to"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bake_that_fails_says_where_why_and_what_helps(bakes: Bakes, name: str, expected: Failure) -> None:
    outcome = bakes.outcomes[name]
    assert outcome.status == expected.status, outcome.told
    assert f"in phase {expected.phase}" in outcome.sentence
    assert expected.sentence in outcome.sentence
    assert expected.remedy in outcome.sentence
    assert "Traceback" not in outcome.told


def test_failed_and_interrupted_bakes_leave_nothing(bakes: Bakes) -> None:
    """The one bake that went well leaves its image and a snapshot; all others nothing at all."""
    assert bakes.outcomes["again"].status == 0, bakes.outcomes["again"].told
    assert sorted(resource.kind for resource in bakes.left) == ["image", "snapshot"], bakes.left
    assert bakes.equals[1] in {resource.id for resource in bakes.left}


def test_two_bakes_of_one_key_are_equal(bakes: Bakes) -> None:
    one, other = (
        {str(path.relative_to(folder)): digest(path) for path in files_below(folder)} for folder in folders(bakes)
    )
    assert len(one) > 1000
    assert one.keys() ^ other.keys() <= VARYING.keys()
    assert {name for name in one.keys() & other.keys() if one[name] != other[name]} <= VARYING.keys()


def folders(bakes: Bakes) -> tuple[Path, ...]:
    assert len(set(bakes.equals)) == 2
    return tuple(WORK.images / image for image in bakes.equals)


@pytest.mark.parametrize(
    ("arguments", "left_out", "sentence", "remedy"),
    [
        (("--set", "model_id=nobody/nothing"), "", "nobody/nothing", "check the spelling"),
        ((), "bake.hub_token_parameter", "is gated, and no token is given", "set bake.hub_token_parameter to it"),
    ],
    ids=["absent", "gated"],
)
def test_a_model_that_cannot_be_had_is_refused_before_anything_is_made(
    kept: Kept, arguments: tuple[str, ...], left_out: str, sentence: str, remedy: str
) -> None:
    before = kept.inventory()
    outcome = kept.start(*arguments, variables=kept.without(left_out)).outcome()
    assert outcome.status == 2
    assert "workers[0].model_id" in outcome.sentence
    assert sentence in outcome.sentence
    assert remedy in outcome.sentence
    assert kept.left_since(before) == ()
