"""The folder that goes to the bake host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from packer.bake import REPOSITORY
from packer.staging import FIXED_TIME, lock_of, staged_files, template_files, write_staging
from scripts.venv_from_lock import read_pins
from tests.packer.made_up import MODEL, recipes_of, repository, settings_of

ROUTER, WORKER = "router", "workers-default"


def listing(folder: Path) -> list[tuple[str, int, float, bytes]]:
    return [
        (
            path.relative_to(folder).as_posix(),
            path.stat().st_mode & 0o777,
            path.stat().st_mtime,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    ]


def test_two_runs_write_the_same_bytes_modes_and_times(tmp_path: Path) -> None:
    here = repository(tmp_path / "repository")
    for name in ("one", "two"):
        write_staging(staged_files(here, recipes_of(settings_of())[WORKER]), tmp_path / name)
    assert listing(tmp_path / "one") == listing(tmp_path / "two")
    assert {time for _, _, time, _ in listing(tmp_path / "one")} == {float(FIXED_TIME)}


def test_programs_stay_programs(tmp_path: Path) -> None:
    here = repository(tmp_path / "repository")
    write_staging(staged_files(here, recipes_of(settings_of())[ROUTER]), tmp_path / "staging")
    modes = {name: mode for name, mode, _, _ in listing(tmp_path / "staging")}
    assert (modes["user_data/bin/fleet-agent"], modes["user_data/boot.sh"]) == (0o755, 0o644)


def test_what_is_staged_of_this_repository() -> None:
    names = set(staged_files(REPOSITORY, recipes_of(settings_of())[WORKER]))
    assert {
        "Pipfile.lock",
        "venv_from_lock.py",
        "provision/90-validate.sh",
        "host/model.py",
        "user_data/agent/worker.py",
        "user_data/boot.sh",
        "user_data/metrics.py",
        "user_data/node_config.py",
        "user_data/systemd/sglang-fleet-worker.service",
        "user_data/systemd/cloud-final.service.d/10-sglang-fleet-poweroff.conf",
        "user_data/bin/fleet-agent",
    } <= names
    assert not {name for name in names if "__pycache__" in name or name.endswith(".pyc")}
    assert "user_data/render.py" not in names


def test_every_folder_of_the_on_host_programs_is_staged() -> None:
    staged = staged_files(REPOSITORY, recipes_of(settings_of())[WORKER])
    folders = {
        path.name for path in (REPOSITORY / "user_data").iterdir() if path.is_dir() and path.name != "__pycache__"
    }
    assert folders == {Path(name).parts[1] for name in staged if name.startswith("user_data/") and name.count("/") > 1}


def test_the_template_of_this_repository_is_found() -> None:
    assert [path.name for path in template_files(REPOSITORY)] == [
        "image.pkr.hcl",
        "plugins.pkr.hcl",
        "variables.pkr.hcl",
    ]


@pytest.mark.parametrize(("stack", "categories"), [(ROUTER, ["router"]), (WORKER, ["agent", "model", "worker"])])
def test_the_lock_holds_what_the_role_installs(tmp_path: Path, stack: str, categories: list[str]) -> None:
    recipe = recipes_of(settings_of())[stack]
    assert sorted(recipe.categories) == categories
    lock = tmp_path / "Pipfile.lock"
    lock.write_bytes(staged_files(REPOSITORY, recipe)["Pipfile.lock"].content)
    assert sorted(set(json.loads(lock.read_text())) - {"_meta"}) == categories
    for category in categories:  # with the program that the bake host installs with
        assert read_pins(lock, [category])


def test_a_category_that_the_lock_lacks_is_an_error() -> None:
    with pytest.raises(KeyError):
        lock_of(b'{"_meta": {}}', ["router"])


def test_the_bake_hosts_description() -> None:
    told = json.loads(recipes_of(settings_of())[WORKER].describe("k" * 20, "https://hub"))
    model = told.pop("model")
    assert told == {
        "role": "worker",
        "architecture": "x86_64",
        "content_key": "k" * 20,
        "engine_category": "worker",
        "engine_version": "0.5.23",
        "hub_url": "https://hub",
    }
    assert (model["id"], model["revision"], model["directory"]) == (MODEL.model_id, MODEL.revision, "tiny")
    assert model["files"][0] == {"path": "config.json", "size": 600, "sha256": None, "git_blob": "d" * 40}
    assert json.loads(recipes_of(settings_of())[ROUTER].describe("k", "h"))["model"] is None


def test_the_bake_hosts_own_reader_takes_the_description(tmp_path: Path) -> None:
    from packer.host.facts import load_bake  # noqa: PLC0415 - runs on the bake host

    file = tmp_path / "bake.json"
    for recipe in recipes_of(settings_of()).values():
        file.write_bytes(recipe.describe("k" * 20, "https://hub"))
        assert load_bake(file).role == recipe.role
