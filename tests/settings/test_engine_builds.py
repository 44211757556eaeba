from __future__ import annotations

from pathlib import Path

import pytest

from settings.catalogue import catalogue, find
from settings.engine_builds import _version, engine_builds, nearest
from settings.engine_catalogue import engine_catalogue
from settings.load import settings_from

PAGE = Path(__file__).parents[2] / "docs" / "engine-builds.md"


def test_every_gpu_of_the_catalogue_has_a_row_and_no_other() -> None:
    wanted = {(one.gpu, one.architecture): one.compute_capability for one in catalogue().instances.values()}
    assert {key: build.compute_capability for key, build in engine_builds().builds.items()} == wanted


def test_the_wheels_of_the_pinned_release_were_read() -> None:
    """With a new pin the table is made anew: docs/engine-builds.md says how."""
    assert _version(engine_builds().newest_release) >= _version(engine_catalogue().version)


def test_a_row_has_code_or_a_reason() -> None:
    for build in engine_builds().builds.values():
        assert bool(build.sglang) == bool(build.code) == (not build.reason), build.gpu


def test_code_is_for_its_gpu() -> None:
    """Machine code runs on later minor versions, `a` code on its own; `f` code within a family."""
    for build in engine_builds().builds.values():
        if build.code:
            number, capability = build.code.removeprefix("sm_").rstrip("af"), build.compute_capability.replace(".", "")
            assert number[:-1] == capability[:-1], build.gpu
            assert number == capability if build.code.endswith("a") else number <= capability, build.gpu


def test_which_gpus_the_pinned_release_serves() -> None:
    without = {build.gpu for build in engine_builds().builds.values() if not build.is_current}
    assert without == {"T4", "T4G"}


def test_the_page_shows_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for build in engine_builds().builds.values():
        release = f"{build.sglang} ({build.kernel} {build.kernel_version})" if build.sglang else "none"
        row = f"| {build.gpu} | {build.compute_capability} | {build.architecture} | {release} | {build.code or '-'} |"
        assert row in text, row


@pytest.mark.parametrize(
    ("instance_type", "other"),
    [
        ("g4dn.xlarge", "g6.xlarge"),
        ("g4dn.12xlarge", "g6.12xlarge"),
        ("g4dn.metal", "g6.48xlarge"),
        ("g5g.16xlarge", "g6.12xlarge"),
    ],
)
def test_the_nearest_type_holds_as_much_for_the_least_money(instance_type: str, other: str) -> None:
    found = nearest(find(instance_type))
    assert found is not None
    assert found.instance_type == other


@pytest.mark.parametrize(
    "pool",
    [
        {"image": {"ami": "ami-0abcdef1234567890"}},
        {"image": {"ssm_parameter": "/my-company/images/t4"}, "model_volume": {"enabled": False}},
        {"engine": {"device": "cpu"}},
    ],
)
def test_who_brings_an_engine_may_use_any_gpu(pool: dict[str, object]) -> None:
    small = {"instance_type": "g4dn.xlarge", "model_id": "Qwen/Qwen2.5-7B-Instruct-AWQ"}
    settings = settings_from({"workers": [{**small, **pool}]})
    assert settings.workers[0].instance_type == "g4dn.xlarge"


@pytest.mark.parametrize(
    ("earlier", "later"), [("0.5.1", "0.5.1.post2"), ("0.5.1.post2", "0.5.2"), ("0.5.9", "0.5.23"), ("0.5.23", "0.6.0")]
)
def test_releases_in_their_order(earlier: str, later: str) -> None:
    assert _version(earlier) < _version(later)
