from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from settings.engine_arguments import EngineArguments
from settings.engine_catalogue import MANAGED, RENAMED, engine_catalogue
from settings.engine_values import read_human_int
from settings.errors import FaultyValueError

ROOT = Path(__file__).parents[2]


def _sentences(table: dict[str, object]) -> list[str]:
    with pytest.raises(FaultyValueError) as error:
        EngineArguments.read(table)
    return [str(fault) for fault in error.value.faults]


def test_the_committed_list_is_that_of_the_pinned_release() -> None:
    data = json.loads(files("settings").joinpath("data/sglang_arguments.json").read_text(encoding="utf-8"))
    pinned = tomllib.loads((ROOT / "Pipfile").read_text(encoding="utf-8"))["worker"]["sglang"]
    assert f"=={data['sglang']}" == pinned
    assert len(data["arguments"]) == 531
    assert sum(len(entry["flags"]) for entry in data["arguments"]) == 559


@pytest.mark.parametrize("name", ["tp", "tp_size", "tp-size", "--tp-size", "tensor_parallel_size"])
def test_every_spelling_becomes_the_canonical_name(name: str) -> None:
    arguments = EngineArguments.read({name: 4})
    assert dict(arguments.values) == {"tp_size": 4}
    assert arguments.get(name) == arguments.get("tensor-parallel-size") == 4
    assert arguments.to_flags() == ("--tp-size", "4")


def test_values_are_sorted_so_that_the_order_in_the_file_changes_nothing() -> None:
    first = EngineArguments.read({"tp_size": 2, "dtype": "half"})
    second = EngineArguments.read({"dtype": "half", "tp_size": 2})
    assert list(first.values) == ["dtype", "tp_size"]
    assert (first, hash(first)) == (second, hash(second))


@pytest.mark.parametrize(
    ("table", "flags"),
    [
        ({"trust_remote_code": True}, ("--trust-remote-code",)),
        ({"trust_remote_code": False}, ()),
        ({"enable_tf32_matmul": True}, ("--enable-tf32-matmul",)),
        ({"enable_tf32_matmul": False}, ("--no-enable-tf32-matmul",)),
        ({"gc_threshold": [700, 10]}, ("--gc-threshold", "700", "10")),
        ({"lora_paths": ["a=/a", "b=/b"]}, ("--lora-paths", "a=/a", "b=/b")),
        (
            {"lora_paths": [{"lora_name": "a", "lora_path": "/a"}]},
            ("--lora-paths", '{"lora_name": "a", "lora_path": "/a"}'),
        ),
        ({"mem_fraction_static": 0.85}, ("--mem-fraction-static", "0.85")),
        ({"schedule_conservativeness": 1}, ("--schedule-conservativeness", "1.0")),
        ({"context_length": "8k"}, ("--context-length", "8000")),
        ({"limit_mm_data_per_request": {"image": 1}}, ("--limit-mm-data-per-request", '{"image": 1}')),
        ({"limit_mm_data_per_request": '{"image":1}'}, ("--limit-mm-data-per-request", '{"image": 1}')),
        ({"fp8_gemm_backend": "auto"}, ("--fp8-gemm-backend", "auto")),
        ({"fp8_gemm_runner_backend": "auto"}, ("--fp8-gemm-backend", "auto")),
        ({"chat_template": "-x"}, ("--chat-template=-x",)),
        ({"log_requests_level": 2}, ("--log-requests-level", "2")),
        ({"model_checksum": ""}, ("--model-checksum", "")),
    ],
)
def test_flags(table: dict[str, object], flags: tuple[str, ...]) -> None:
    assert EngineArguments.read(table).to_flags() == flags


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("8k", 8000),
        ("8Ki", 8192),
        ("25.6k", 25600),
        ("1M", 10**6),
        ("8K", None),
        ("1.5Ki", None),
        ("8", None),
        ("", None),
    ],
)
def test_human_readable_numbers_as_sglang_reads_them(text: str, number: int | None) -> None:
    assert read_human_int(text) == number


@pytest.mark.parametrize("name", sorted(RENAMED))
def test_names_of_earlier_releases_are_refused_with_what_to_write(name: str) -> None:
    rule = "is set for an argument that SGLang 0.5.23 replaced"
    assert _sentences({name: True}) == [f"{name}: true {rule}; {RENAMED[name]}"]


@pytest.mark.parametrize("name", sorted(MANAGED))
def test_what_the_fleet_sets_itself_is_refused_with_where_to_say_it(name: str) -> None:
    assert _sentences({name: 1}) == [f"{name}: 1 is set for {name}, which the fleet sets itself; {MANAGED[name]}"]


def test_remedies_name_arguments_that_exist() -> None:
    known = engine_catalogue().spellings
    assert set(MANAGED) <= set(known)
    named = {"cuda_graph_backend_decode", "cuda_graph_backend_prefill", "cuda_graph_max_bs_decode", "attn_dp_size"}
    named |= {"cuda_graph_bs_decode", "flashinfer_allreduce_fusion_backend", "image_processor_backend"}
    assert named | {"enable_amd_monokernel", "quantization"} <= set(known)
    assert not set(RENAMED) & set(known)


def test_every_argument_of_the_release_is_known_managed_or_deprecated() -> None:
    data = json.loads(files("settings").joinpath("data/sglang_arguments.json").read_text(encoding="utf-8"))
    spellings = engine_catalogue().spellings
    for entry in data["arguments"]:
        dest = entry["dest"]
        assert dest in spellings or dest in RENAMED or entry.get("deprecated"), dest


def test_two_spellings_of_one_argument() -> None:
    rule = "sets tp_size, which tp already sets"
    assert _sentences({"tp": 2, "tp_size": 2}) == [f"tp_size: 2 {rule}; keep one of tp and tp_size"]


def test_all_faults_of_a_table_at_once() -> None:
    assert len(_sentences({"tp": "x", "dtype": "fp7", "nope_nope": 1, "port": 3, "dp": 1, "dp_size": 1})) == 5
