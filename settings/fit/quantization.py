"""`quantization_config` in its variants: how many bits a parameter takes, and which modules stay as they were."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from settings.fit.config_json import Config
from settings.fit.facts import Quantization, Tensor, UnreadableModelError

_SCALE_BITS = 16  # scales of integer formats are kept in half precision
# The two formats whose bits say all, by the OCP microscaling specification 1.0 (one 8-bit scale for 32 numbers) and
# NVIDIA's NVFP4 (one 8-bit scale for 16).
_MXFP4_BITS, _MXFP8_BITS, _NVFP4_BITS = 4 + 8 / 32, 8 + 8 / 32, 4 + 8 / 16
# NF4 with blocks of 64 numbers and a 32-bit scale, or the scales quantized again (QLoRA, arXiv 2305.14314, section 3).
_NF4_BITS, _NF4_DOUBLE_BITS = 4 + 32 / 64, 4 + 8 / 64 + 32 / (64 * 256)


def _grouped(bits: int, group: int, *, zero_points: bool = True) -> float:
    """Bits per parameter of integers in groups: each group has a scale and, unless symmetric, a zero point."""
    if group <= 0:  # one group per output channel, too few to count
        return bits
    return bits + (_SCALE_BITS + (bits if zero_points else 0)) / group


def _awq(config: Config) -> Quantization:
    bits, group = config.positive("bits", "w_bit", default=4), config.get("group_size", "q_group_size") or 128
    plain = _names(config.items("modules_to_not_convert"))
    return Quantization("awq", _grouped(bits, int(group)), (*plain, "lm_head"), max(int(group), 1), f"{bits} bits")


def _gptq(config: Config) -> Quantization:
    bits, group = config.positive("bits", default=4), int(config.get("group_size") or 128)
    skipped = config.section("dynamic")
    plain = tuple(f"re:{name[2:]}" for name in skipped.data if name.startswith("-:")) if skipped else ()
    head = () if config.flag("lm_head") else ("lm_head",)
    return Quantization("gptq", _grouped(bits, group), (*plain, *head), max(group, 1), f"{bits} bits")


def _fp8(config: Config) -> Quantization:
    block = config.items("weight_block_size")
    size = int(block[0]) if block else 1
    bits = 8 + (32 / (size * int(block[1])) if block else 0)
    plain = _names(config.items("ignored_layers", "modules_to_not_convert"))
    return Quantization("fp8", bits, (*plain, "lm_head"), size, "FP8")


def _bitsandbytes(config: Config) -> Quantization:
    plain = (*_names(config.items("llm_int8_skip_modules")), "lm_head")
    if config.flag("load_in_8bit", "_load_in_8bit"):
        return Quantization("bitsandbytes", 8, plain, scheme="8 bits")
    bits = _NF4_DOUBLE_BITS if config.flag("bnb_4bit_use_double_quant") else _NF4_BITS
    return Quantization("bitsandbytes", bits, plain, scheme="4 bits")


def _mxfp4(config: Config) -> Quantization:
    # SGLang and the reference quantize the experts only; their names differ, so every other part is left out by name.
    plain = (*_names(config.items("modules_to_not_convert")), "lm_head", "self_attn", "router")
    return Quantization("mxfp4", _MXFP4_BITS, plain, scheme="MXFP4")


def _compressed_tensors(config: Config) -> Quantization:
    groups = config.section("config_groups")
    weights = [found for group in (groups.data.values() if groups else ()) if (found := _weights(group))]
    if not weights:
        raise UnreadableModelError("quantization_config of compressed-tensors has no weights in config_groups")
    smallest = min(weights, key=lambda one: one.positive("num_bits", default=8))
    bits, group = smallest.positive("num_bits", default=8), int(smallest.get("group_size") or 0)
    plain = _names(config.items("ignore"))
    if smallest.text("type") == "float":
        return _float_scheme(config, smallest, bits, plain)
    return Quantization(
        "compressed-tensors",
        _grouped(bits, group, zero_points=not smallest.flag("symmetric", default=True)),
        plain,
        max(group, 1),
        f"{bits} bits" if _activations(config) is None else f"INT{bits}",
    )


def _float_scheme(config: Config, weights: Config, bits: int, plain: tuple[str, ...]) -> Quantization:
    if bits == 4:  # noqa: PLR2004
        is_mx = "mxfp4" in config.text("format") or int(weights.get("group_size") or 0) == 32  # noqa: PLR2004
        known = ("MXFP4", _MXFP4_BITS) if is_mx else ("NVFP4", _NVFP4_BITS)
        return Quantization("compressed-tensors", known[1], plain, scheme=known[0])
    block = weights.items("block_structure")
    size = int(block[0]) if block else 1
    return Quantization("compressed-tensors", 8, plain, size, "FP8")


def _weights(group: object) -> Config | None:
    return Config(group).section("weights") if isinstance(group, Mapping) else None


def _activations(config: Config) -> Config | None:
    groups = config.section("config_groups")
    first = next(iter(groups.data.values()), None) if groups else None
    return Config(first).section("input_activations") if isinstance(first, Mapping) else None


def _modelopt(config: Config) -> Quantization:
    inner = config.section("quantization") or config
    algorithm = inner.text("quant_algo") or config.text("quant_method")
    plain = _names(inner.items("exclude_modules", "ignore"))
    if "mixed" in algorithm:
        layers = inner.section("quantized_layers")
        return _mixed(layers.data if layers else {}, plain)
    if "fp4" in algorithm:
        return Quantization("modelopt_fp4", _NVFP4_BITS, plain, scheme="NVFP4")
    return Quantization("modelopt_fp8", 8, plain, scheme="FP8")


def _mixed(layers: Mapping[str, Any], plain: tuple[str, ...]) -> Quantization:
    """NVFP4 where named so, FP8 in the other modules that are named; taken as FP8 unless experts are all of it."""
    fp4 = sum("fp4" in str(one).lower() for one in layers.values())
    bits = _NVFP4_BITS if fp4 * 2 >= len(layers) else 8.0
    return Quantization("modelopt_mixed", bits, plain, scheme="NVFP4" if bits < 8 else "FP8")  # noqa: PLR2004


def _quark(config: Config) -> Quantization:
    weight = (config.section("global_quant_config") or config).section("weight")
    kind = weight.text("dtype") if weight else ""
    bits = {"fp4": _MXFP4_BITS, "int4": _grouped(4, 128), "uint4": _grouped(4, 128)}.get(kind, 8.0)
    return Quantization("quark", bits, _names(config.items("exclude")), scheme=kind.upper())


def _simple(method: str, bits: float, scheme: str) -> Callable[[Config], Quantization]:
    return lambda config: Quantization(
        method, bits, (*_names(config.items("modules_to_not_convert")), "lm_head"), 1, scheme
    )


_READERS: Mapping[str, Callable[[Config], Quantization]] = {
    "awq": _awq,
    "gptq": _gptq,
    "gptq_marlin": _gptq,
    "auto-round": _gptq,
    "fp8": _fp8,
    "fbgemm_fp8": _fp8,
    "bitsandbytes": _bitsandbytes,
    "mxfp4": _mxfp4,
    "mxfp8": _simple("mxfp8", _MXFP8_BITS, "MXFP8"),
    "compressed-tensors": _compressed_tensors,
    "compressed_tensors": _compressed_tensors,
    "modelopt": _modelopt,
    "modelopt_fp8": _modelopt,
    "modelopt_fp4": _modelopt,
    "modelopt_mixed": _modelopt,
    "quark": _quark,
    "w8a8_int8": _simple("w8a8_int8", 8, "INT8"),
    "w8a8_fp8": _simple("w8a8_fp8", 8, "FP8"),
    "w4afp8": _simple("w4afp8", _grouped(4, 128, zero_points=False), "4 bits"),
}
# What SGLang can do to an unquantized checkpoint while it loads it (model_loader and quantization/*, 0.5.23).
ONLINE: Mapping[str, float] = {
    "fp8": 8.0,
    "w8a8_fp8": 8.0,
    "w8a8_int8": 8.0,
    "modelopt_fp8": 8.0,
    "mxfp8": _MXFP8_BITS,
    "bitsandbytes": _NF4_BITS,
    "nvfp4_online": _NVFP4_BITS,
}


def quantization_of(config: Config) -> Quantization | None:
    """Return how a checkpoint is quantized, or None when it is not.

    Raises:
        UnreadableModelError: a method that is not known, or one whose fields make no sense.
    """
    found = config.section("quantization_config", "compression_config")
    if found is None:
        return None
    method = found.text("quant_method", "quant_type", "producer") or ("modelopt" if found.get("quant_algo") else "")
    if method not in _READERS:
        raise UnreadableModelError(f"quantization_config has the method {method or 'of no name'}, which is not known")
    return _READERS[method](found)


def _names(items: Iterable[object]) -> tuple[str, ...]:
    return tuple(str(item) for item in items)


def is_plain(quantization: Quantization, module: str) -> bool:
    """Tell whether a module is one of those that stay unquantized."""
    return any(_matches(pattern, module) for pattern in quantization.plain)


def quantized(tensors: Iterable[Tensor], quantization: Quantization | None) -> tuple[Tensor, ...]:
    """Return tensors with those marked as not linear that the quantization leaves as they were."""
    if quantization is None:
        return tuple(tensors)
    return tuple(
        replace(tensor, linear=False) if tensor.linear and is_plain(quantization, tensor.module) else tensor
        for tensor in tensors
    )


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    text = pattern.removeprefix("re:") if pattern.startswith("re:") else re.escape(pattern).replace(r"\*", ".*")
    try:
        return re.compile(text)
    except re.error:
        return None


def _matches(pattern: str, module: str) -> bool:
    """A pattern is a name, a part of one, one with stars, or an expression after `re:`; prefixes differ by exporter."""
    if not pattern.startswith("re:") and "*" not in pattern:
        name = pattern.removeprefix("model.language_model.").removeprefix("language_model.").removeprefix("model.")
        return _within(name, module)
    compiled = _compiled(pattern)
    return bool(compiled and (compiled.match(f"model.{module}") or compiled.match(module) or _deep(compiled, module)))


def _deep(compiled: re.Pattern[str], module: str) -> bool:
    return compiled.match(f"model.language_model.{module}") is not None


def _within(part: str, whole: str) -> bool:
    return f".{part}." in f".{whole}." if part else False
