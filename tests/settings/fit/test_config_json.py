"""`config.json` of many makers: parameters against the numbers that the makers name, cache against hand calculation."""

from __future__ import annotations

from typing import Any

import pytest

from settings.fit.facts import UnreadableModelError
from settings.fit.kv import beyond_window_bytes, request_bytes, token_bytes
from settings.fit.model import model_facts
from settings.fit.weights import Split, gpu_bytes, weight_bytes

GIB = 2**30


def _config(kind: str, layers: int, hidden: int, heads: int, vocabulary: int, **more: Any) -> dict[str, Any]:
    return {
        "model_type": kind,
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "vocab_size": vocabulary,
        "torch_dtype": "bfloat16",
        **more,
    }


MINI = _config("llama", 4, 512, 8, 1000, intermediate_size=1024, num_key_value_heads=4)

# Name, config.json (the fields that count), parameters in 10^9 as the maker says or counts them on the hub.
MODELS: list[tuple[str, dict[str, Any], float]] = [
    ("gpt2", {"model_type": "gpt2", "n_layer": 12, "n_embd": 768, "n_head": 12, "vocab_size": 50257}, 0.124),
    ("gpt-neox-20b", _config("gpt_neox", 44, 6144, 64, 50432, intermediate_size=24576), 20.6),
    ("falcon-7b", _config("falcon", 32, 4544, 71, 65024, multi_query=True, num_kv_heads=71), 6.92),
    (
        "falcon-40b",
        _config("falcon", 60, 8192, 128, 65024, num_kv_heads=8, new_decoder_architecture=True, multi_query=True),
        41.3,
    ),
    (
        "starcoder2-15b",
        _config("starcoder2", 40, 6144, 48, 49152, num_key_value_heads=4, intermediate_size=24576),
        15.96,
    ),
    ("command-r", _config("cohere", 40, 8192, 64, 256000, intermediate_size=22528, num_key_value_heads=64), 34.98),
    (
        "nemotron-4-340b",
        _config("nemotron", 96, 18432, 96, 256000, intermediate_size=73728, num_key_value_heads=8, hidden_act="relu2"),
        341.0,
    ),
    (
        "qwen1.5-moe",
        _config(
            "qwen2_moe",
            24,
            2048,
            16,
            151936,
            intermediate_size=5632,
            moe_intermediate_size=1408,
            num_experts=60,
            shared_expert_intermediate_size=5632,
            num_experts_per_tok=4,
        ),
        14.3,
    ),
    ("olmoe", _config("olmoe", 16, 2048, 16, 50304, intermediate_size=1024, num_experts=64), 6.92),
    (
        "phi-3.5-moe",
        _config("phimoe", 32, 4096, 32, 32064, intermediate_size=6400, num_key_value_heads=8, num_local_experts=16),
        41.9,
    ),
    (
        "dbrx",
        {
            "model_type": "dbrx",
            "n_layers": 40,
            "d_model": 6144,
            "n_heads": 48,
            "vocab_size": 100352,
            "attn_config": {"kv_n_heads": 8},
            "ffn_config": {"ffn_hidden_size": 10752, "moe_num_experts": 16},
        },
        131.6,
    ),
    (
        "jamba",
        _config(
            "jamba",
            32,
            4096,
            32,
            65536,
            intermediate_size=14336,
            num_key_value_heads=8,
            num_experts=16,
            attn_layer_period=8,
            attn_layer_offset=4,
            expert_layer_period=2,
            expert_layer_offset=1,
            mamba_d_state=16,
            mamba_d_conv=4,
            mamba_expand=2,
            mamba_dt_rank=256,
        ),
        51.6,
    ),
    (
        "granite-4.0-h-small",
        _config(
            "granitemoehybrid",
            40,
            4096,
            32,
            100352,
            intermediate_size=768,
            shared_intermediate_size=1536,
            num_key_value_heads=8,
            num_local_experts=72,
            tie_word_embeddings=True,
            mamba_n_heads=128,
            mamba_d_head=64,
            mamba_d_state=128,
            mamba_n_groups=1,
            layer_types=["attention" if i % 10 == 5 else "mamba" for i in range(40)],
        ),
        32.2,
    ),
    (
        "ernie-4.5-21b",
        _config(
            "ernie4_5_moe",
            28,
            2560,
            20,
            103424,
            intermediate_size=12288,
            num_key_value_heads=4,
            moe_num_experts=64,
            moe_intermediate_size=1536,
            moe_num_shared_experts=2,
            moe_layer_start_index=1,
            moe_layer_interval=1,
            moe_layer_end_index=27,
            tie_word_embeddings=True,
            head_dim=128,
        ),
        21.8,
    ),
    (
        "hunyuan-a13b",
        _config(
            "hunyuan_v1_moe",
            32,
            4096,
            32,
            128167,
            intermediate_size=3072,
            num_key_value_heads=8,
            num_experts=64,
            moe_intermediate_size=[3072] * 32,
            num_shared_expert=[1] * 32,
            tie_word_embeddings=True,
        ),
        80.4,
    ),
    (
        "kimi-linear-48b",
        _config(
            "kimi_linear",
            27,
            2304,
            32,
            163840,
            intermediate_size=9216,
            moe_intermediate_size=1024,
            num_experts=256,
            num_shared_experts=1,
            first_k_dense_replace=1,
            kv_lora_rank=512,
            q_lora_rank=None,
            qk_nope_head_dim=128,
            qk_rope_head_dim=64,
            v_head_dim=128,
            linear_attn_config={
                "num_heads": 32,
                "head_dim": 128,
                "short_conv_kernel_size": 4,
                "full_attn_layers": [4, 8, 12, 16, 20, 24, 27],
            },
        ),
        49.1,
    ),
    (
        "minimax-text-01",
        _config(
            "minimax_text_01",
            80,
            6144,
            64,
            200064,
            intermediate_size=9216,
            num_key_value_heads=8,
            head_dim=128,
            num_local_experts=32,
            attn_type_list=[1 if i % 8 == 7 else 0 for i in range(80)],
        ),
        456.0,
    ),
]


@pytest.mark.parametrize(("name", "config", "billions"), MODELS, ids=[name for name, _, _ in MODELS])
def test_parameters_of_many_architectures(name: str, config: dict[str, Any], billions: float) -> None:
    facts = model_facts(name, config)
    counted = sum(tensor.parameters for tensor in facts.tensors if not tensor.module.endswith(".absorbed")) / 1e9
    assert counted == pytest.approx(billions, rel=0.03)


def test_the_cache_of_command_r_is_the_one_that_surprised_its_users() -> None:
    config = next(config for name, config, _ in MODELS if name == "command-r")
    assert token_bytes(model_facts("command-r", config)) * 2048 == 2560 * 2**20


def test_state_layers_keep_nothing_for_a_token_and_something_for_a_request() -> None:
    config = next(config for name, config, _ in MODELS if name == "granite-4.0-h-small")
    facts = model_facts("granite", config)
    assert token_bytes(facts) == 4 * 2 * 8 * 128 * 2
    assert request_bytes(facts, Split()) == 36 * (128 * 64 * 128 * 4 + (128 * 64 + 2 * 128) * 3 * 2)
    assert request_bytes(facts, Split(tensor=4)) == request_bytes(facts, Split()) / 4


def test_windows_bound_the_cache_of_long_requests() -> None:
    pattern = {"sliding_window": 512, "layer_types": ["sliding_attention", "sliding_attention", "full_attention"] * 2}
    facts = model_facts("w", _config("any", 6, 512, 8, 1000, intermediate_size=1024, num_key_value_heads=4, **pattern))
    assert token_bytes(facts) == 6 * 2 * 4 * 64 * 2
    assert beyond_window_bytes(facts) == 2 * 2 * 4 * 64 * 2
    assert [(cache.kind, cache.layers, cache.window) for cache in facts.caches] == [("window", 4, 512), ("full", 2, 0)]


def test_layers_that_share_keys_keep_none_of_their_own() -> None:
    facts = model_facts("shared", {**MINI, "num_kv_shared_layers": 3})
    assert token_bytes(facts) == 1 * 2 * 4 * 64 * 2


def test_the_cache_follows_its_number_type() -> None:
    facts = model_facts("mini", MINI)
    assert token_bytes(facts, "fp8_e4m3") == token_bytes(facts) / 2
    assert token_bytes(facts, "nvfp4") == token_bytes(facts) * 0.5625 / 2


def test_a_model_that_sees_has_its_language_part_inside_and_its_encoder_whole_on_each_gpu() -> None:
    seeing = {
        "architectures": ["SomeForConditionalGeneration"],
        "text_config": {**MINI, "torch_dtype": "float16"},
        "vision_config": {"hidden_size": 256, "depth": 2, "intermediate_size": 512},
    }
    facts, blind = model_facts("seeing", seeing), model_facts("mini", MINI)
    encoder = 2 * (4 * 256**2 + 2 * 256 * 512) + 256**2 + 256 * 512
    assert facts.dtype == "float16"
    assert facts.tower == (2, 256)
    assert weight_bytes(facts) - weight_bytes(blind) == encoder * 2
    assert gpu_bytes(facts, Split(tensor=4)) - gpu_bytes(blind, Split(tensor=4)) == encoder * 2


def test_tied_embeddings_are_counted_once() -> None:
    both, one = model_facts("a", MINI), model_facts("b", {**MINI, "tie_word_embeddings": True})
    assert both.parameters - one.parameters == 512 * 1000


def test_keys_and_values_are_copied_beyond_their_heads() -> None:
    facts = model_facts("mini", {**MINI, "num_key_value_heads": 2})
    halves, eighths = gpu_bytes(facts, Split(tensor=2)), gpu_bytes(facts, Split(tensor=8))
    copied = 4 * 2 * 512 * 2 * 64 * 2  # key and value matrices of four layers
    norms = (4 * 2 + 1) * 512 * 2
    assert eighths - norms - copied / 2 == pytest.approx((halves - norms - copied / 2) / 4)


def test_the_size_of_the_files_counts_when_it_is_known() -> None:
    estimate = weight_bytes(model_facts("mini", MINI))
    facts = model_facts("mini", MINI, checkpoint_bytes=int(estimate * 1.01))
    assert weight_bytes(facts) == pytest.approx(estimate * 1.01)
    assert gpu_bytes(facts, Split()) == pytest.approx(estimate * 1.01)


def test_draft_layers_are_in_the_files_and_on_the_gpu_only_when_used() -> None:
    config = {**MINI, "num_nextn_predict_layers": 1}
    plain, facts = model_facts("mini", MINI), model_facts("drafting", config)
    in_files = int(weight_bytes(plain)) + sum(tensor.parameters for tensor in facts.draft_tensors) * 2
    read = model_facts("drafting", config, checkpoint_bytes=in_files)
    assert weight_bytes(read) == pytest.approx(weight_bytes(plain))
    assert gpu_bytes(read, Split(), drafts=True) == pytest.approx(in_files)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_hidden_layers": None}, "config.json has no num_hidden_layers"),
        ({"hidden_size": "wide"}, "hidden_size of config.json is 'wide', not a whole number"),
        ({"hidden_size": True}, "hidden_size of config.json is True, not a whole number"),
        ({"num_attention_heads": 0}, "num_attention_heads of config.json is 0, below 1"),
        ({"hidden_size": 10**30}, "not a whole number"),
        ({"layer_types": ["full_attention"]}, "layer_types of config.json has 1 entries for 4 layers"),
        ({"layer_types": ["convolution"] * 4}, "layers of the type convolution, which is not known"),
        ({"hybrid_override_pattern": "M*X-"}, "hybrid_override_pattern of config.json has ['X'], not known"),
        ({"compress_ratios": [0, 4]}, "compresses its cache"),
        ({"is_encoder_decoder": True}, "is an encoder-decoder"),
        ({"quantization_config": {"quant_method": "aqlm"}}, "the method aqlm, which is not known"),
        ({"quantization_config": {"quant_method": "compressed-tensors"}}, "has no weights in config_groups"),
    ],
)
def test_what_cannot_be_read_is_said(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UnreadableModelError) as error:
        model_facts("odd", {**MINI, **change})
    assert said in str(error.value)


@pytest.mark.parametrize(
    "odd",
    [
        {"num_hidden_layers": 10**9},
        {"num_hidden_layers": 0},
        {"layer_types": ["full_attention"]},
        {"quantization_config": {"quant_method": "awq", "group_size": "x"}},
        {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128]}},
        {"hidden_size": float("nan")},
        {"vocab_size": -1},
    ],
)
def test_fields_that_make_no_sense_give_no_facts(odd: dict[str, Any]) -> None:
    with pytest.raises(UnreadableModelError):
        model_facts("mini", {**MINI, **odd})


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(UnreadableModelError, match=r"^vocab_size of config\.json is -1, not a whole number$"):
        model_facts("mini", {**MINI, "vocab_size": -1})
