"""What holds for every test: no real account can be reached, and a property test tries the same examples each time."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# What runs one after another besides the tests of one folder.
GROUPS = {
    "tests/rehearsal/test_scenarios_faults.py": "scenarios: faults",
    "tests/rehearsal/test_by_hand.py": "default network",
    "tests/rehearsal/test_rehearsal.py": "default network",
    "tests/rehearsal/test_cloud.py": "default network",
    "tests/rehearsal/test_cloud_faults.py": "default network",
    "tests/rehearsal/test_scenarios_changes.py": "scenarios: changes",
    "tests/rehearsal/test_scenarios_scaling.py": "scenarios: scaling",
    "tests/rehearsal/test_real_sglang.py": "real SGLang",
    "tests/rehearsal/engine/test_conformance.py": "real SGLang",
    "tests/rehearsal/engine/test_real_engine.py": "real SGLang",
    "tests/rehearsal/test_bake.py": "bakes",
    "tests/plans/test_live.py": "plans",
}

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
    "SGLANG_FLEET_BAKE_SITE",
    "PACKER",
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
    # A job in the background of a script starts with ctrl-C ignored, and so would everything that a test interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # No deadline: two cores are shared with whatever else runs. Derandomized: a red test is red for everybody.
    settings.register_profile("repository", deadline=None, derandomize=True)
    settings.load_profile("repository")


def group_of(nodeid: str) -> str:
    """The tests of a group run one after another; a folder is one, unless GROUPS says otherwise."""
    path = nodeid.partition("::")[0]
    return GROUPS.get(path, path.rpartition("/")[0])


class InGroups(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps each group on one worker. (With pytest 9, xdist_group marks do nothing.)"""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> InGroups:
    return InGroups(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest groups begin first: they mostly wait for Terraform and engines, while the rest computes."""
    order = list(dict.fromkeys(GROUPS.values()))
    items.sort(key=lambda item: order.index(group) if (group := group_of(item.nodeid)) in order else len(order))
