"""What a bake plans: build, reuse, record."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from packer.plan import Action, Build, Record, Reuse, plan
from packer.targets import Target, choose_needs, needs_of
from settings.errors import SettingsError
from settings.naming import TAG_IMAGE_MODEL_REVISION, TAG_IMAGE_ROLE
from tests.packer.made_up import TWO_POOLS, image, made_targets, repository, settings_of

if TYPE_CHECKING:
    from pathlib import Path

ROUTER_PARAMETER = "/sglang-fleet/sglang/image/router"
POOL_PARAMETERS = ("/sglang-fleet/sglang/image/workers-chat", "/sglang-fleet/sglang/image/workers-batch")


@pytest.fixture
def targets(tmp_path: Path) -> tuple[Target, ...]:
    return made_targets(settings_of(**TWO_POOLS), repository(tmp_path))


def words(actions: list[Action]) -> list[str]:
    return [_word(action) for action in actions]


def _word(action: Action) -> str:
    if isinstance(action, Reuse):
        return f"reuse {action.image.image_id}"
    if isinstance(action, Record):
        return f"record {action.need.stack} {action.current} -> {action.image_id}"
    return f"build {action.target.recipe.role}"


def test_from_nothing_everything_is_built_once_and_recorded_for_each_stack(targets: tuple[Target, ...]) -> None:
    assert words(plan(targets, (), {})) == [
        "build router",
        "record router None -> None",
        "build worker",
        "record workers-chat None -> None",
        "record workers-batch None -> None",
    ]


def test_with_everything_there_and_recorded_nothing_changes(targets: tuple[Target, ...]) -> None:
    images = [image(f"ami-{target.recipe.role}", tags=target.tags) for target in targets]
    recorded = {ROUTER_PARAMETER: "ami-router", **dict.fromkeys(POOL_PARAMETERS, "ami-worker")}
    assert words(plan(targets, images, recorded)) == ["reuse ami-router", "reuse ami-worker"]


def test_what_is_recorded_is_corrected(targets: tuple[Target, ...]) -> None:
    images = [image(f"ami-{target.recipe.role}", tags=target.tags) for target in targets]
    recorded = {ROUTER_PARAMETER: "ami-router", POOL_PARAMETERS[0]: "ami-old"}
    assert words(plan(targets, images, recorded)) == [
        "reuse ami-router",
        "reuse ami-worker",
        "record workers-chat ami-old -> ami-worker",
        "record workers-batch None -> ami-worker",
    ]


@pytest.mark.parametrize("state", ["pending", "failed", "deregistered", "disabled", ""])
def test_an_image_that_no_host_can_start_from_does_not_count(targets: tuple[Target, ...], state: str) -> None:
    broken = image("ami-broken", tags=targets[1].tags, state=state)
    assert plan(targets[1:], [broken], {})[0] == Build(targets[1])


@pytest.mark.parametrize("change", [{TAG_IMAGE_MODEL_REVISION: "other"}, {TAG_IMAGE_ROLE: "router"}, None])
def test_an_image_without_all_of_its_tags_does_not_count(
    targets: tuple[Target, ...], change: dict[str, str] | None
) -> None:
    tags = {**targets[1].tags, **change} if change else dict(list(targets[1].tags.items())[:3])
    assert plan(targets[1:], [image("ami-odd", tags=tags)], {})[0] == Build(targets[1])


def test_further_tags_do_not_matter_and_the_newest_image_is_taken(targets: tuple[Target, ...]) -> None:
    tags = {**targets[0].tags, "CostCenter": "x"}
    images = [
        image("ami-old", age_hours=9, tags=tags),
        image("ami-new", age_hours=1, tags=tags),
        image("ami-mid", age_hours=5, tags=tags),
    ]
    assert words(plan(targets[:1], images, {}))[0] == "reuse ami-new"
    undated = replace(images[1], image_id="ami-undated", created=None)
    assert words(plan(targets[:1], [undated, *images], {}))[0] == "reuse ami-new"


def test_force_builds_what_is_there(targets: tuple[Target, ...]) -> None:
    there = image("ami-router", tags=targets[0].tags)
    assert words(plan(targets[:1], [there], {ROUTER_PARAMETER: "ami-router"}, force=True)) == [
        "build router",
        "record router ami-router -> None",
    ]


def stacks(only: str | None, **tables: Any) -> tuple[list[str], list[str]]:
    chosen, given = choose_needs(needs_of(settings_of(**tables)), only)
    return [need.stack for need in chosen], [need.stack for need in given]


def test_only_chooses_the_router_or_a_pool_by_its_name_or_its_stacks() -> None:
    assert stacks(None, **TWO_POOLS)[0] == ["router", "workers-chat", "workers-batch"]
    assert stacks("router", **TWO_POOLS)[0] == ["router"]
    assert stacks("batch", **TWO_POOLS)[0] == stacks("workers-batch", **TWO_POOLS)[0] == ["workers-batch"]
    with pytest.raises(SettingsError, match="'chatt' is neither the router nor a pool; use one of router, chat, batch"):
        stacks("chatt", **TWO_POOLS)


def test_an_image_that_is_given_is_not_baked() -> None:
    ami = {"image": {"ami": "ami-0abcdef1234567890"}}
    parameter = {"image": {"ssm_parameter": "/team/golden"}}
    assert stacks(None, router=ami, workers=[parameter]) == ([], ["router", "workers-default"])
    with pytest.raises(SettingsError, match=r"an image that is not baked here: router\.image\.ami = ami-0abc.*; leave"):
        stacks("router", router=ami)


def test_architecture_and_sizes_come_from_the_settings(tmp_path: Path) -> None:
    pool = {"volume": {"size_gib": 77}, "model_volume": {"size_gib": 33}}
    settings = settings_of(router={"instance_type": "c7g.large"}, workers=[pool])
    router, worker = made_targets(settings, repository(tmp_path))
    assert (router.recipe.architecture, router.recipe.model_gib, router.instance_type) == ("arm64", 0, "c7g.2xlarge")
    assert (worker.recipe.architecture, worker.recipe.root_gib, worker.recipe.model_gib) == ("x86_64", 77, 33)
    assert (worker.instance_type, worker.label) == ("c7i.2xlarge", "worker-x86_64-tiny")
