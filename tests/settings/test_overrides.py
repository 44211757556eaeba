from __future__ import annotations

import json
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from settings.context import settings_from_context
from settings.errors import FaultyValueError, SettingsError
from settings.load import settings_from
from settings.overrides import merge_overrides, overrides_from_context, parse_assignments
from tests.settings.cases import ENVIRONMENTS

if TYPE_CHECKING:
    from pathlib import Path

    from settings.model import Settings

TWO_POOLS: dict[str, object] = {"workers": [{"name": "chat", "engine": {"tp": 1}}, {"name": "code"}]}


def _changed(overrides: dict[str, object], raw: dict[str, object] | None = None) -> dict[str, object]:
    """The leaves that differ from the same tables without overrides."""
    tables: dict[str, object] = raw or {"name": "demo"}
    before, after = _leaves(settings_from(tables)), _leaves(settings_from(tables, overrides))
    return {key: after.get(key) for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def _leaves(settings: Settings) -> dict[str, object]:
    found: dict[str, object] = {}
    waiting: list[tuple[str, object]] = [("", settings.model_dump())]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(f"{path}.{key}" if path else str(key), item) for key, item in value.items()]
        elif isinstance(value, tuple | list) and path == "workers":
            waiting += [(f"{path}[{index}]", item) for index, item in enumerate(value)]
        else:
            found[path] = value
    return found


def test_the_command_of_the_readme_changes_exactly_its_values() -> None:
    words = ["model_id=Qwen/QwQ-32B-AWQ", "instance_type=g5.12xlarge", "tensor_parallel_size=4"]
    assert _changed(parse_assignments(words)) == {
        "workers[0].model_id": "Qwen/QwQ-32B-AWQ",
        "workers[0].instance_type": "g5.12xlarge",
        "workers[0].engine.tp_size": 4,
    }


@pytest.mark.parametrize(
    ("key", "text", "path", "value"),
    [
        ("router_ip", "10.0.0.200", "router.address", "10.0.0.200"),
        ("router.port", "9000", "router.port", 9000),
        ("max_size", "7", "workers[0].max_size", 7),
        ("workers[0].max_size", "7", "workers[0].max_size", 7),
        ("workers.0.max_size", "7", "workers[0].max_size", 7),
        ("workers.default.max_size", "7", "workers[0].max_size", 7),
        ("quantization", "awq", "workers[0].engine.quantization", "awq"),
        ("mem_fraction_static", "0.8", "workers[0].engine.mem_fraction_static", 0.8),
        ("context_length", "8k", "workers[0].engine.context_length", 8000),
        ("kv_cache_dtype", "fp8_e5m2", "workers[0].engine.kv_cache_dtype", "fp8_e5m2"),
        ("trust-remote-code", "true", "workers[0].engine.trust_remote_code", True),
        ("gc_threshold", "700,10", "workers[0].engine.gc_threshold", (700, 10)),
        ("gc_threshold", "[700, 10]", "workers[0].engine.gc_threshold", (700, 10)),
        ("lora_paths", "a=/a", "workers[0].engine.lora_paths", ("a=/a",)),
        ("limit_mm_data_per_request", '{"image": 1}', "workers[0].engine.limit_mm_data_per_request", '{"image": 1}'),
        ("workers[0].engine.tp", "1", "workers[0].engine.tp_size", 1),
        ("network.flow_logs", "FALSE", "network.flow_logs", False),
        ("logs.retention_days", "60", "logs.retention_days", 60),
        ("account_id", "123456789012", "account_id", "123456789012"),
        ("workers[0].scaling.target_load", "4", "workers[0].scaling.target_load", 4.0),
        ("access.allowed_cidrs", "192.168.0.0/16", "access.allowed_cidrs", ("192.168.0.0/16",)),
        ("network.interface_endpoints", "ssm, logs", "network.interface_endpoints", ("ssm", "logs")),
        ("tags.team", "4", "tags.team", "4"),
        ("tags.cost.center", "x", "tags.cost.center", "x"),
    ],
)
def test_text_is_read_by_the_type_of_what_it_addresses(key: str, text: str, path: str, value: object) -> None:
    assert _changed({key: text}) == {path: value}


def test_values_from_json_keep_their_types() -> None:
    assert _changed({"max_size": 7, "gc_threshold": [700, 10], "logs": {"retention_days": 7}}) == {
        "workers[0].max_size": 7,
        "workers[0].engine.gc_threshold": (700, 10),
        "logs.retention_days": 7,
    }


def test_short_keys_address_the_first_pool_and_names_address_any() -> None:
    changed = _changed({"min_size": "2", "workers.code.min_size": "3", "workers[1].max_size": "9"}, TWO_POOLS)
    assert changed == {"workers[0].min_size": 2, "workers[1].min_size": 3, "workers[1].max_size": 9}


def test_another_spelling_replaces_the_one_in_the_file() -> None:
    raw: dict[str, object] = {"workers": [{"instance_type": "g5.12xlarge", "engine": {"tp": 2}}]}
    assert settings_from(raw, {"tensor_parallel_size": "4"}).workers[0].engine.values == {"tp_size": 4}


def test_the_strongest_source_wins_under_any_spelling() -> None:
    merged = merge_overrides(
        {"tensor_parallel_size": "4", "router_ip": "10.0.0.9"}, {"tp_size": 2, "router.address": "x"}
    )
    settings = settings_from({"workers": [{"instance_type": "g5.12xlarge"}]}, merged)
    assert settings.workers[0].engine.get("tp_size") == 4
    assert settings.router.address == IPv4Address("10.0.0.9")


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("modle_id", "is given for an unknown key; did you mean model_id?"),
        ("quantisation", "is given for an unknown key; did you mean quantization?"),
        ("flow_logs", "is given for an unknown key; did you mean network.flow_logs?"),
        ("router.prot", "is given for an unknown key; did you mean router.port?"),
        ("workers[0].max_sise", "is given for an unknown key; did you mean workers[0].max_size?"),
        ("router.port.x", "is given for an unknown key; router.port has no keys of its own"),
        ("workers.code.max_size", "names no pool: code is none; the pools are default, numbered from 0"),
        ("workers[1].max_size", "names no pool: 1 is none; the pools are default, numbered from 0"),
        ("a..b", "is not a path; write it like workers[0].max_size or router.port"),
        ("port", "is set for port, which the fleet sets itself; set port of the pool, one level up"),
        ("torchao_config", "is set for an argument that SGLang 0.5.23 replaced; set quantization"),
        (
            "zzzzzz",
            (
                "is given for an unknown key; use a full path like router.port, a short key like model_id, "
                "or a server argument like tp_size"
            ),
        ),
    ],
)
def test_keys_that_address_nothing(key: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as error:
        settings_from({"name": "demo"}, {key: "x"})
    assert str(error.value) == f"override {key}: 'x' {sentence}"


def test_a_value_of_the_wrong_type_is_a_fault_of_the_key_it_addresses() -> None:
    with pytest.raises(SettingsError) as error:
        settings_from({"name": "demo"}, {"max_size": "many"})
    expected = "workers[0].max_size: 'many' is not a whole number; write a whole number without quotes, like 4"
    assert str(error.value) == expected


@pytest.mark.parametrize("word", ["max_size", "=4", " =4"])
def test_words_that_are_not_assignments(word: str) -> None:
    with pytest.raises(FaultyValueError):
        parse_assignments([word])


def test_cdktf_own_context_keys_are_no_overrides() -> None:
    context: dict[str, object] = {
        "cdktfVersion": "0.21.0",
        "cdktfRelativeModules": ["./"],
        "cdktfStaticModuleAssetHash": "x",
        "excludeStackIdFromLogicalIds": "true",
        "allowSepCharsInLogicalIds": "true",
        "environment": "environments/example.toml",
        "max_size": 3,
    }
    assert overrides_from_context(context) == {"max_size": 3}


def _cdktf_json(folder: Path, context: object) -> None:
    (folder / "cdktf.json").write_text(json.dumps({"app": "x", "context": context}))


def test_precedence_of_the_context(tmp_path: Path) -> None:
    example = str(ENVIRONMENTS / "example.toml")
    own = {"environment": example, "max_size": 5, "min_size": 2, "desired_size": 3, "cdktfVersion": "0.21.0"}
    _cdktf_json(tmp_path, own)
    environ = {"CDKTF_CONTEXT_JSON": '{"max_size": "6", "desired_size": 4}'}
    pool = settings_from_context(environ, folder=tmp_path).workers[0]
    assert (pool.min_size, pool.desired_size, pool.max_size) == (2, 4, 6)
    pool = settings_from_context(environ, folder=tmp_path, strongest={"max_size": "7"}).workers[0]
    assert (pool.min_size, pool.desired_size, pool.max_size) == (2, 4, 7)


@pytest.mark.parametrize(
    ("context", "sentence"),
    [
        ("{", "CDKTF_CONTEXT_JSON: is not JSON: "),
        ("[]", "CDKTF_CONTEXT_JSON: [] is not a table; "),
        ("9" * 5000, "CDKTF_CONTEXT_JSON: is not JSON: "),
        ('{"environment": 3}', "environment: 3 names no environment file; "),
        ("", "environment: names no environment file; "),
    ],
)
def test_contexts_that_name_no_file(context: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        settings_from_context({"CDKTF_CONTEXT_JSON": context}, folder=tmp_path)
    assert str(error.value).startswith(sentence)


def test_a_broken_cdktf_json(tmp_path: Path) -> None:
    (tmp_path / "cdktf.json").write_text("{")
    with pytest.raises(SettingsError, match=r"cdktf\.json: is not JSON"):
        settings_from_context({}, folder=tmp_path)
