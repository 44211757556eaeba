"""What holds for every test: no real account can be reached, and a property test tries the same examples each time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

TESTS = Path(__file__).parent
LONGEST_FIRST = ("default-network", "real-sglang")

# Whatever the person running the tests has set must neither change a result nor be used.
FOREIGN = (
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "CDKTF_CONTEXT_JSON",
    "SGLANG_FLEET_ROOT",
)
MADE_UP = {
    "AWS_ACCESS_KEY_ID": "AKIAMADEUPFORTESTS",
    "AWS_SECRET_ACCESS_KEY": "made-up-for-tests",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "18,20",
}


def pytest_configure() -> None:
    for name in FOREIGN:
        os.environ.pop(name, None)
    os.environ.update(MADE_UP)
    # No deadline: two cores are shared with whatever else runs. Derandomized: a red test is red for everybody.
    settings.register_profile("repository", deadline=None, derandomize=True)
    settings.load_profile("repository")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With two workers (`make test`), tests that share addresses, an engine or a synth stay on one of them.

    A group is what a test's marker says, else its folder. The longest begin first: they mostly wait for Terraform and
    for engines, while the rest computes.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.relative_to(TESTS).parent.as_posix()))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    marker = item.get_closest_marker("xdist_group")
    name = marker.args[0] if marker is not None else ""
    return LONGEST_FIRST.index(name) if name in LONGEST_FIRST else len(LONGEST_FIRST)
