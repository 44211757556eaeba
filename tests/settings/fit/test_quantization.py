"""`quantization_config` as each exporter writes it: bits of a parameter, and what stays as it was."""

from __future__ import annotations

from typing import Any

import pytest

from settings.fit.config_json import Config
from settings.fit.facts import Quantization, UnreadableModelError
from settings.fit.model import model_facts
from settings.fit.quantization import is_plain, quantization_of
from settings.fit.weights import weight_bytes
from tests.settings.fit.test_config_json import MINI


def _compressed(bits: int, kind: str = "int", **more: Any) -> dict[str, Any]:
    weights = {"num_bits": bits, "type": kind, "symmetric": True, **more}
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": weights}}}


VARIANTS: list[tuple[str, dict[str, Any], str, float, int]] = [
    ("awq", {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}, "awq", 4 + 20 / 128, 128),
    ("awq_old", {"quant_method": "awq", "w_bit": 4, "q_group_size": 64}, "awq", 4 + 20 / 64, 64),
    ("gptq", {"quant_method": "gptq", "bits": 8, "group_size": 128, "desc_act": False}, "gptq", 8 + 24 / 128, 128),
    ("gptq_channel", {"quant_method": "gptq", "bits": 4, "group_size": -1}, "gptq", 4, 1),
    ("fp8", {"quant_method": "fp8", "activation_scheme": "static"}, "fp8", 8, 1),
    ("fp8_blocks", {"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8", 8 + 32 / 16384, 128),
    ("fbgemm", {"quant_method": "fbgemm_fp8", "modules_to_not_convert": ["lm_head"]}, "fp8", 8, 1),
    ("bnb8", {"quant_method": "bitsandbytes", "load_in_8bit": True}, "bitsandbytes", 8, 1),
    ("bnb4", {"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes", 4.5, 1),
    (
        "bnb4_double",
        {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_use_double_quant": True},
        "bitsandbytes",
        4 + 1 / 8 + 32 / 16384,
        1,
    ),
    ("mxfp4", {"quant_method": "mxfp4", "modules_to_not_convert": ["model.embed_tokens"]}, "mxfp4", 4.25, 1),
    ("w4a16", _compressed(4, group_size=128), "compressed-tensors", 4 + 16 / 128, 128),
    ("w4a16_asymmetric", _compressed(4, group_size=32, symmetric=False), "compressed-tensors", 4 + 20 / 32, 32),
    ("int8", _compressed(8), "compressed-tensors", 8, 1),
    ("fp8_dynamic", _compressed(8, "float", strategy="channel"), "compressed-tensors", 8, 1),
    ("nvfp4", _compressed(4, "float", group_size=16), "compressed-tensors", 4.5, 1),
    ("mxfp4_compressed", _compressed(4, "float", group_size=32), "compressed-tensors", 4.25, 1),
    ("modelopt_fp8", {"quant_method": "modelopt", "quant_algo": "FP8"}, "modelopt_fp8", 8, 1),
    (
        "modelopt_nested",
        {"producer": "modelopt", "quant_method": "modelopt", "quantization": {"quant_algo": "NVFP4"}},
        "modelopt_fp4",
        4.5,
        1,
    ),
]


@pytest.mark.parametrize(
    ("given", "method", "bits", "block"), [row[1:] for row in VARIANTS], ids=[v[0] for v in VARIANTS]
)
def test_bits_of_a_parameter(given: dict[str, Any], method: str, bits: float, block: int) -> None:
    found = quantization_of(Config({"quantization_config": given}))
    assert found is not None
    assert found.method == method
    assert found.bits == pytest.approx(bits)
    assert found.block == block


def test_the_old_name_of_compressed_tensors() -> None:
    found = quantization_of(Config({"compression_config": _compressed(8)}))
    assert found is not None
    assert found.method == "compressed-tensors"


def test_without_one_and_with_one_that_nobody_knows() -> None:
    assert quantization_of(Config(MINI)) is None
    with pytest.raises(UnreadableModelError, match="method of-tomorrow, which is not known"):
        quantization_of(Config({"quantization_config": {"quant_method": "of-tomorrow"}}))
    with pytest.raises(UnreadableModelError, match="no weights in config_groups"):
        quantization_of(Config({"quantization_config": {"quant_method": "compressed-tensors"}}))


@pytest.mark.parametrize(
    ("pattern", "module", "stays"),
    [
        ("lm_head", "lm_head", True),
        ("model.layers.0.self_attn", "layers.0.self_attn.q_proj", True),
        ("model.layers.1", "layers.10.mlp.up_proj", False),
        ("language_model.layers.3.mlp", "layers.3.mlp.up_proj", True),
        ("re:.*mlp.gate$", "layers.3.mlp.gate", True),
        ("re:.*mlp.gate$", "layers.3.mlp.gate_proj", False),
        ("model.layers.*.self_attn*", "layers.7.self_attn.o_proj", True),
        ("re:(", "layers.7.self_attn.o_proj", False),
    ],
)
def test_which_modules_stay_unquantized(pattern: str, module: str, stays: bool) -> None:
    assert is_plain(Quantization("fp8", 8, (pattern,)), module) is stays


def test_embedding_head_and_norms_keep_the_models_type_and_the_rest_shrinks() -> None:
    whole = weight_bytes(model_facts("mini", MINI))
    small = weight_bytes(model_facts("mini", {**MINI, "quantization_config": {"quant_method": "fp8"}}))
    embedding_and_head, norms = 2 * 1000 * 512, (2 * 4 + 1) * 512
    kept = (embedding_and_head + norms) * 2
    assert small == kept + (whole - kept) / 2


def test_gptq_leaves_alone_what_its_dynamic_part_forbids() -> None:
    given = {"quant_method": "gptq", "bits": 4, "group_size": 128}
    all_small = weight_bytes(model_facts("mini", {**MINI, "quantization_config": given}))
    some = {**given, "dynamic": {"-:.*self_attn.*": {}, "+:.*mlp.*": {"bits": 4}}}
    attention = 4 * (2 * 512 * 512 + 2 * 512 * 256)
    grown = weight_bytes(model_facts("mini", {**MINI, "quantization_config": some})) - all_small
    assert grown == pytest.approx(attention * (16 - 4 - 20 / 128) / 8)
