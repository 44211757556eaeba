from __future__ import annotations

import json
from pathlib import Path

import pytest

from packer.host import facts, programs
from packer.hub import Model as ResolvedModel
from packer.model_files import ModelFile as ListedFile
from packer.recipe import Engine, Recipe
from user_data import node_config
from user_data.agent import engine
from user_data.node_config import UNIT_DISCOVERY, UNIT_ROUTER, UNIT_WORKER, NodeConfig

FILES = (ListedFile("a.safetensors", 9, "ab" * 32, None), ListedFile("config.json", 2, None, "cd" * 20))


def test_reads_what_the_operators_side_writes(tmp_path: Path) -> None:
    model = ResolvedModel("org/Tiny", "e" * 40, FILES)
    recipe = Recipe("worker", "x86_64", "ami-1", 20, engine=Engine("worker", "0.5.23"), model=model)
    file = tmp_path / "bake.json"
    file.write_bytes(recipe.describe("0" * 20, "https://hub.example"))
    bake = facts.load_bake(file)
    assert bake.is_worker
    assert (bake.content_key, bake.engine_category, bake.engine_version) == ("0" * 20, "worker", "0.5.23")
    assert bake.model is not None
    assert (bake.model.directory, bake.model.size) == ("Tiny", 11)
    assert bake.model.files[1] == facts.ModelFile("config.json", 2, None, "cd" * 20)


def test_a_router_has_no_model(tmp_path: Path) -> None:
    file = tmp_path / "bake.json"
    file.write_bytes(Recipe("router", "arm64", "ami-1", 20).describe("0" * 20, "https://hub.example"))
    bake = facts.load_bake(file)
    assert (bake.model, bake.is_worker, bake.engine_category) == (None, False, None)


def test_another_release_of_the_file_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "bake.json"
    data = json.loads(Recipe("router", "arm64", "ami-1", 20).describe("0" * 20, "https://hub.example"))
    file.write_text(json.dumps({**data, "new": 1}))
    with pytest.raises(TypeError, match="new"):
        facts.load_bake(file)


def test_places_are_those_of_the_hosts() -> None:
    assert str(facts.AGENT_HOME) == node_config.AGENT_HOME
    assert str(facts.ENGINE_HOME) == node_config.ENGINE_HOME
    assert str(facts.MODELS_DIRECTORY) == node_config.MODELS_DIRECTORY
    assert str(programs.ENGINE) == engine.ENGINE_COMMAND
    assert programs.UNITS == {"router": (UNIT_ROUTER, UNIT_DISCOVERY), "worker": (UNIT_WORKER,)}


@pytest.mark.parametrize("role", ["router", "worker"])
def test_the_sample_is_a_node_config_of_the_role(role: str) -> None:
    node = NodeConfig.model_validate_json((programs.SAMPLES / f"{role}.node.json").read_text())
    assert node.api_key_parameter is None  # the bake host may not read any
    assert (node.router is not None, node.worker is not None) == (role == "router", role == "worker")
    assert node.units == tuple(sorted(programs.UNITS[role]))
