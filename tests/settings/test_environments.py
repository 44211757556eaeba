from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

import jsonschema  # type: ignore[import-untyped]
import pytest

from settings.catalogue import find
from settings.load import load_settings, settings_from
from settings.model import Settings
from settings.schema import SCHEMA_FILE, render_schema, sections, settings_schema
from settings.subnets import private_blocks, public_blocks
from tests.settings.cases import ENVIRONMENTS, environment_files

if TYPE_CHECKING:
    from pathlib import Path

ROOT = ENVIRONMENTS.parent


@pytest.mark.parametrize("file", environment_files(), ids=lambda file: file.stem)
def test_every_environment_loads_and_satisfies_the_schema(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    settings = load_settings(file)
    jsonschema.Draft202012Validator(settings_schema()).validate(tomllib.loads(text))
    assert text.startswith("#:schema ../settings/data/settings.schema.json\n")
    assert not settings.access.allowed_cidrs
    assert settings.access.api_key


def test_the_environments_cover_what_was_asked_for() -> None:
    pools = [(file.stem, pool) for file in environment_files() for pool in load_settings(file).workers]
    families = {find(pool.instance_type).family for _, pool in pools}
    assert {"g4dn", "g5", "g5g", "g6", "g6e", "gr6", "g7e", "p4d", "p5"} <= families
    assert len(environment_files()) >= 7
    assert any(pool.engine.integer("tp_size", 1) > 1 for _, pool in pools)
    assert any(find(pool.instance_type).architecture == "arm64" for _, pool in pools)
    assert len(load_settings(ENVIRONMENTS / "two-pools.toml").workers) == 2


def test_the_example_shows_every_key_and_its_default() -> None:
    text = (ENVIRONMENTS / "example.toml").read_text(encoding="utf-8")
    shown = set(re.findall(r"^(?:# )?([a-z_]+) = ", text, re.MULTILINE))
    keys = {key for home, keys in sections().items() for key in keys if (*home, key) not in sections()}
    assert keys - shown == {"engine", "tags", "workers"}  # these are headings
    example, default = load_settings(ENVIRONMENTS / "example.toml"), Settings()
    assert example.model_dump(exclude={"workers"}) == default.model_dump(exclude={"workers"})
    pool = {"engine"}
    assert example.workers[0].model_dump(exclude=pool) == default.workers[0].model_dump(exclude=pool)


def test_commented_keys_of_the_example_are_right_too() -> None:
    text = (ENVIRONMENTS / "example.toml").read_text(encoding="utf-8")
    wrong_together = ("# ami", "# quantization", "# architecture")
    lines = [line for line in text.splitlines() if not line.startswith(wrong_together)]
    opened = [re.sub(r"^# (?=\[|[a-z_]+ = )", "", line) for line in lines]
    settings = settings_from(tomllib.loads("\n".join(opened)))
    assert settings.workers[0].served_model_name == "deepseek-r1-32b"
    assert settings.router.tls is not None


def test_the_committed_schema_is_the_one_that_the_model_gives() -> None:
    assert (ROOT / SCHEMA_FILE).read_text(encoding="utf-8") == render_schema(), "run `fleet settings schema`"


def test_the_schema_lists_engine_arguments_with_types_and_choices() -> None:
    schema = settings_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    engine = schema["$defs"]["WorkerPool"]["properties"]["engine"]
    engine = engine if "properties" in engine else schema["$defs"][engine["$ref"].rpartition("/")[2]]
    properties = engine["properties"]
    assert properties["tp_size"]["type"] == properties["tensor_parallel_size"]["type"] == "integer"
    assert "awq" in properties["quantization"]["enum"]
    assert len(properties) > 500
    assert "model_path" not in properties


def test_default_subnets() -> None:
    settings = load_settings(ENVIRONMENTS / "example.toml")
    assert private_blocks(settings) == (IPv4Network("10.0.0.0/20"), IPv4Network("10.0.16.0/20"))
    assert public_blocks(settings) == (IPv4Network("10.0.240.0/24"), IPv4Network("10.0.241.0/24"))


def test_subnets_of_the_smallest_vpc_and_given_ones() -> None:
    small: dict[str, object] = {"network": {"vpc_cidr": "10.9.0.0/20"}, "router": {"address": "10.9.0.100"}}
    assert public_blocks(settings_from(small)) == (IPv4Network("10.9.15.0/28"), IPv4Network("10.9.15.16/28"))
    given = ["10.0.32.0/20", "10.0.48.0/20"]
    raw = {"network": {"private_subnets": given}, "router": {"address": "10.0.32.10"}}
    assert [str(block) for block in private_blocks(settings_from(raw))] == given


def test_the_rehearsal_lives_on_loopback_addresses() -> None:
    settings = load_settings(ENVIRONMENTS / "rehearsal.toml")
    assert settings.network.vpc_cidr == IPv4Network("127.64.0.0/16")
    assert settings.router.address == IPv4Address("127.64.0.100")
    assert (settings.workers[0].min_size, settings.workers[0].max_size) == (2, 4)
    assert settings.state.force_destroy


def test_a_table_for_the_workers_volume_keeps_the_workers_defaults() -> None:
    settings = settings_from({"workers": [{"volume": {"size_gib": 200}}]})
    assert settings.workers[0].volume.throughput_mib == 500


def test_settings_import_neither_cdktf_nor_boto3() -> None:
    code = "import sys, settings.context, fleet.cli; print(*sorted({'cdktf', 'boto3', 'moto'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_model_is_frozen_and_dumps_to_json() -> None:
    settings = load_settings(ENVIRONMENTS / "g5-tensor-parallel.toml")
    assert json.loads(settings.model_dump_json())["workers"][0]["engine"]["tp_size"] == 4
    with pytest.raises(ValueError, match="frozen"):
        settings.name = "other"  # type: ignore[misc]


def test_the_whole_internet_may_reach_the_router_only_where_the_file_says_so() -> None:
    assert Settings().access.allowed_cidrs == ()
    opened = settings_from({"access": {"allowed_cidrs": ["0.0.0.0/0"]}})
    assert opened.access.allowed_cidrs == (IPv4Network("0.0.0.0/0"),)


def test_an_engine_on_the_cpu_is_not_bound_by_the_number_of_gpus() -> None:
    settings = settings_from({"workers": [{"engine": {"device": "cpu", "tp_size": 2}}]})
    assert settings.workers[0].engine.to_flags() == ("--device", "cpu", "--tp-size", "2")
