"""What changes an image's content key, and what must not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packer.content_key import KEY_DIGITS, content_key
from packer.site import BakeSite
from packer.staging import shaping_parts, staged_files
from packer.targets import needs_of
from tests.packer.made_up import MODEL, TWO_POOLS, made_targets, recipes_of, repository, settings_of

if TYPE_CHECKING:
    from pathlib import Path

    from packer.recipe import Recipe

ROUTER, WORKER = "router", "workers-default"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return repository(tmp_path / "repository")


def key_of(here: Path, recipe: Recipe) -> str:
    return content_key(shaping_parts(here, recipe, staged_files(here, recipe)))


def keys(here: Path, **tables: Any) -> dict[str, str]:
    return {stack: key_of(here, recipe) for stack, recipe in recipes_of(settings_of(**tables)).items()}


@given(st.dictionaries(st.text(max_size=5), st.binary(max_size=5), max_size=5))
def test_the_order_of_the_parts_does_not_matter(parts: dict[str, bytes]) -> None:
    assert content_key(parts) == content_key(dict(reversed(parts.items())))


@given(st.dictionaries(st.text(max_size=3), st.binary(max_size=3), max_size=3), st.text(max_size=3))
def test_another_part_is_another_key(parts: dict[str, bytes], name: str) -> None:
    assert (content_key({**parts, name: b"new!"}) == content_key(parts)) is (parts.get(name) == b"new!")


def test_parts_do_not_run_into_each_other() -> None:
    assert content_key({"a": b"bc"}) != content_key({"ab": b"c"})
    assert content_key({"a": b"", "b": b""}) != content_key({"a": b"b"})


def test_a_key_is_twenty_hexadecimal_digits() -> None:
    assert content_key({}) == "e3b0c44298fc1c149afb"
    assert KEY_DIGITS == 20


@pytest.mark.parametrize(
    "name",
    [
        "packer/provision/05-base.sh",
        "packer/provision/90-validate.sh",
        "packer/host/model.py",
        "packer/image.pkr.hcl",
        "scripts/venv_from_lock.py",
        "user_data/agent/worker.py",
        "user_data/bin/fleet-agent",
        "user_data/metrics.py",
        "user_data/node_config.py",
        "user_data/systemd/sglang-fleet-worker.service",
    ],
)
def test_one_byte_of_what_is_installed_or_installs_changes_every_key(here: Path, name: str) -> None:
    before = keys(here)
    with (here / name).open("a") as file:
        file.write("\n")
    after = keys(here)
    assert all(before[stack] != after[stack] for stack in (ROUTER, WORKER))


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "packer/bake.py",
        "packer/plugins.pkr.hcl",
        "tests/test_new.py",
        "user_data/render.py",
        "user_data/agent/__pycache__/worker.cpython-311.pyc",
        "user_data/agent/.worker.py.swp",
        "packer/provision/05-base.sh~",
    ],
)
def test_files_that_are_on_no_host_change_nothing(here: Path, name: str) -> None:
    before = keys(here)
    (here / name).parent.mkdir(parents=True, exist_ok=True)
    with (here / name).open("a") as file:
        file.write("another byte")
    assert keys(here) == before


@pytest.mark.parametrize(
    ("category", "changed"),
    [("router", {ROUTER}), ("agent", {WORKER}), ("worker", {WORKER}), ("model", {WORKER}), ("default", set())],
)
def test_a_pin_changes_the_images_that_install_it(here: Path, category: str, changed: set[str]) -> None:
    before = keys(here)
    lock = json.loads((here / "Pipfile.lock").read_text())
    lock[category]["boto3"]["version"] = "==1.0.1"
    (here / "Pipfile.lock").write_text(json.dumps(lock))
    after = keys(here)
    assert {stack for stack in before if before[stack] != after[stack]} == changed


def test_the_layout_of_the_lock_file_does_not_matter(here: Path) -> None:
    before = keys(here)
    (here / "Pipfile.lock").write_text(json.dumps(json.loads((here / "Pipfile.lock").read_text()), indent=7))
    assert keys(here) == before


def test_a_program_that_loses_its_mode_is_another_image(here: Path) -> None:
    before = keys(here)
    (here / "user_data/bin/fleet-agent").chmod(0o644)
    assert keys(here)[ROUTER] != before[ROUTER]


def test_revision_files_volume_base_image_and_conditions_change_the_key(here: Path) -> None:
    recipe = recipes_of(settings_of())[WORKER]
    assert recipe.engine
    others = (
        replace(recipe, model=replace(MODEL, revision="b" + "a" * 39)),
        replace(recipe, model=replace(MODEL, model_id="org/other")),
        replace(recipe, model=replace(MODEL, files=MODEL.files[:1])),
        replace(recipe, base_image="ami-00000000000000ba6"),
        replace(recipe, architecture="arm64"),
        replace(recipe, root_gib=recipe.root_gib + 1),
        replace(recipe, model_gib=recipe.model_gib + 1),
        replace(recipe, engine=replace(recipe.engine, version="0.5.24")),
        replace(recipe, conditions=(*recipe.conditions, ("MORE", "1"))),
    )
    assert len({key_of(here, one) for one in (recipe, *others)}) == 1 + len(others)


def test_who_may_read_a_model_today_is_no_content(here: Path) -> None:
    recipe = recipes_of(settings_of())[WORKER]
    assert key_of(here, replace(recipe, model=replace(MODEL, restricted=True))) == key_of(here, recipe)


def test_a_mirror_of_hub_and_packages_makes_the_same_image(here: Path) -> None:
    mirror = BakeSite(hub_url="http://127.0.0.1:1", environment={"PIP_INDEX_URL": "x"}, cloudwatch_agent_url="http://m")
    for stack, recipe in recipes_of(settings_of(), site=mirror).items():
        assert key_of(here, recipe) == keys(here)[stack]


def test_an_engine_that_is_replaced_makes_another_image(here: Path) -> None:
    replaced = recipes_of(settings_of(), site=BakeSite(engine_install="/engine"))
    assert key_of(here, replaced[WORKER]) != keys(here)[WORKER]


def test_pools_with_equal_content_share_an_image(here: Path) -> None:
    settings = settings_of(**TWO_POOLS)
    router, workers = made_targets(settings, here)
    assert [need.stack for need in router.needs] == ["router"]
    assert [need.stack for need in workers.needs] == ["workers-chat", "workers-batch"]
    assert {need.parameter for need in workers.needs} == {
        "/sglang-fleet/sglang/image/workers-chat",
        "/sglang-fleet/sglang/image/workers-batch",
    }


def test_the_choice_of_one_pool_does_not_change_its_key(here: Path) -> None:
    settings = settings_of(**TWO_POOLS)
    alone = made_targets(settings, here, needs_of(settings)[2:])
    assert [target.key for target in alone] == [made_targets(settings, here)[1].key]
